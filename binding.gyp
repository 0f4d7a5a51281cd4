{
  "targets": [
    {
      "target_name": "semlock",
      "sources": [
        "native/addon.cc",
        "native/lock_binding.cc",
        "native/semaphore_binding.cc",
        "native/crash_points.cc",
        "native/inbox.cc",
        "native/latch.cc",
        "native/latched_record.cc",
        "native/lock_record.cc",
        "native/lock_table.cc",
        "native/inbox_binding.cc",
        "native/membership.cc",
        "native/named_semaphore.cc",
        "native/outbox.cc",
        "native/process_slot.cc",
        "native/query.cc",
        "native/thread_semaphore.cc",
        "native/wait_binding.cc",
        "native/wait_service.cc",
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": ["-std=c++17", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-unused-parameter"],
      "conditions": [
        [
          "OS=='linux'",
          {
            "defines": ["_GNU_SOURCE"],
            # A worker thread that ends would unload the addon while its atexit handler is still registered.
            "ldflags": ["-Wl,-z,nodelete"],
            "libraries": ["-pthread"],
          },
        ],
      ],
    }
  ]
}
