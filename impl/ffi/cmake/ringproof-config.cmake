# find_package(ringproof CONFIG) with -Dringproof_DIR=<this folder>, then
# target_link_libraries(program PRIVATE ringproof::ringproof). Installed elsewhere, the headers
# are expected in ../include, seen from this file.
if(NOT TARGET ringproof::ringproof)
  add_library(ringproof::ringproof INTERFACE IMPORTED)
  get_filename_component(ringproof_include "${CMAKE_CURRENT_LIST_DIR}/../include" ABSOLUTE)
  # 64-bit offsets on 32-bit machines too: the header refuses others.
  set_target_properties(ringproof::ringproof PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${ringproof_include}"
    INTERFACE_COMPILE_DEFINITIONS "_GNU_SOURCE;_FILE_OFFSET_BITS=64")
  unset(ringproof_include)
endif()

# The library built from Rust, where it is installed beside (`-lringproof`):
# target_link_libraries(program PRIVATE ringproof::library).
if(NOT TARGET ringproof::library)
  find_library(ringproof_LIBRARY ringproof
    PATHS "${CMAKE_CURRENT_LIST_DIR}/../lib")
  if(ringproof_LIBRARY)
    get_filename_component(ringproof_include "${CMAKE_CURRENT_LIST_DIR}/../include" ABSOLUTE)
    add_library(ringproof::library UNKNOWN IMPORTED)
    set_target_properties(ringproof::library PROPERTIES
      IMPORTED_LOCATION "${ringproof_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${ringproof_include}")
    unset(ringproof_include)
  endif()
endif()
