# Two addons for the tests alone: the production sources with their crash points, and the storm's oracle. A build of
# its own, so that nothing of it can get into the package.
{
  "target_defaults": {
    "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
    "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS", "_GNU_SOURCE"],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": ["-std=c++17", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"],
    "ldflags": ["-Wl,-z,nodelete"],
    "libraries": ["-pthread"],
  },
  "targets": [
    {
      "target_name": "semlock_fault",
      "sources": ["<!@(ls ../../../native/core/*.cc ../../../native/binding/*.cc)"],
      "defines": ["SEMLOCK_CRASH_POINTS", "SEMLOCK_CHECKED"],
    },
    {
      "target_name": "hold_oracle",
      "sources": ["hold_oracle.cc"],
    },
  ],
}
