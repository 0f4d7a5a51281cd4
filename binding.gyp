{
  "targets": [
    {
      "target_name": "semlock",
      "sources": [
        "native/binding/addon.cc",
        "native/binding/hash_binding.cc",
        "native/binding/inbox_binding.cc",
        "native/binding/lock_binding.cc",
        "native/binding/namespace_binding.cc",
        "native/binding/owners_binding.cc",
        "native/binding/readiness.cc",
        "native/binding/semaphore_binding.cc",
        "native/binding/wait_binding.cc",
        "native/core/crash_points.cc",
        "native/core/death_watch.cc",
        "native/core/foreign_wait.cc",
        "native/core/inbox.cc",
        "native/core/latch.cc",
        "native/core/latched_record.cc",
        "native/core/leftovers.cc",
        "native/core/lock_record.cc",
        "native/core/lock_table.cc",
        "native/core/membership.cc",
        "native/core/named_semaphore.cc",
        "native/core/own_file.cc",
        "native/core/owners.cc",
        "native/core/process_slot.cc",
        "native/core/query.cc",
        "native/core/thread_semaphore.cc",
        "native/core/wait_service.cc",
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
