# find_package(ringproof CONFIG), then target_link_libraries(program PRIVATE ...) with
#   ringproof::ringproof        the headers, which need nothing to be linked
#   ringproof::library          the library built from Rust, shared
#   ringproof::library_static   the same, static
# The two of the library are components: find_package(ringproof CONFIG REQUIRED COMPONENTS library).
# install.sh puts this file into <prefix>/lib/cmake/ringproof, or one directory deeper where libraries
# lie in one of their machine. It works in the source tree, too, for the headers:
# -Dringproof_DIR=impl/ffi/cmake.

# Both: /lib may be a link to /usr/lib, and the file itself one into another tree.
get_filename_component(ringproof_real "${CMAKE_CURRENT_LIST_DIR}" REALPATH)
set(ringproof_headers "")
foreach(ringproof_base "${CMAKE_CURRENT_LIST_DIR}" "${ringproof_real}")
  foreach(ringproof_up .. ../../.. ../../../..)
    get_filename_component(ringproof_include
      "${ringproof_base}/${ringproof_up}/include" ABSOLUTE)
    if(NOT ringproof_headers AND EXISTS "${ringproof_include}/ringproof.hpp")
      set(ringproof_headers "${ringproof_include}")
      get_filename_component(ringproof_libraries "${ringproof_base}/../.." ABSOLUTE)
    endif()
  endforeach()
endforeach()

if(NOT ringproof_headers)
  set(ringproof_FOUND FALSE)
  set(ringproof_NOT_FOUND_MESSAGE
    "ringproof.hpp is not where it is expected from ${CMAKE_CURRENT_LIST_FILE}: in include of the \
same prefix")
elseif(NOT TARGET ringproof::ringproof)
  add_library(ringproof::ringproof INTERFACE IMPORTED)
  # 64-bit offsets on 32-bit machines too: the header refuses others.
  set_target_properties(ringproof::ringproof PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${ringproof_headers}"
    INTERFACE_COMPILE_DEFINITIONS "_GNU_SOURCE;_FILE_OFFSET_BITS=64"
    INTERFACE_LINK_LIBRARIES "-pthread")

  # Only what lies beside: another place may have another version.
  if(EXISTS "${ringproof_libraries}/libringproof.so")
    add_library(ringproof::library SHARED IMPORTED)
    set_target_properties(ringproof::library PROPERTIES
      IMPORTED_LOCATION "${ringproof_libraries}/libringproof.so"
      INTERFACE_INCLUDE_DIRECTORIES "${ringproof_headers}")
  endif()
  if(EXISTS "${ringproof_libraries}/libringproof.a")
    add_library(ringproof::library_static STATIC IMPORTED)
    # The libraries are those of Libs.private in ringproof-lib.pc.
    set_target_properties(ringproof::library_static PROPERTIES
      IMPORTED_LOCATION "${ringproof_libraries}/libringproof.a"
      INTERFACE_INCLUDE_DIRECTORIES "${ringproof_headers}"
      INTERFACE_LINK_LIBRARIES "util;rt;pthread;m;dl")
  endif()
endif()

foreach(ringproof_component IN LISTS ringproof_FIND_COMPONENTS)
  if(TARGET ringproof::${ringproof_component})
    set(ringproof_${ringproof_component}_FOUND TRUE)
  else()
    set(ringproof_${ringproof_component}_FOUND FALSE)
    if(ringproof_FIND_REQUIRED_${ringproof_component} AND ringproof_headers)
      set(ringproof_FOUND FALSE)
      set(ringproof_NOT_FOUND_MESSAGE
        "there is no ${ringproof_component} in ${ringproof_libraries}: components are library and \
library_static, where the library is installed")
    endif()
  endif()
endforeach()
unset(ringproof_base)
unset(ringproof_component)
unset(ringproof_headers)
unset(ringproof_include)
unset(ringproof_libraries)
unset(ringproof_real)
unset(ringproof_up)
