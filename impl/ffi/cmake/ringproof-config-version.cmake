# Which versions find_package(ringproof VERSION) may ask for, by Cargo's rule: an older one of the same
# major number, and below 1 of the same minor number, too.
set(PACKAGE_VERSION "0.1.0")
set(PACKAGE_VERSION_COMPATIBLE FALSE)
set(PACKAGE_VERSION_EXACT FALSE)
if(PACKAGE_FIND_VERSION_RANGE)
  if(PACKAGE_VERSION VERSION_GREATER_EQUAL PACKAGE_FIND_VERSION_MIN
     AND (PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION_MAX
          OR (PACKAGE_FIND_VERSION_RANGE_MAX STREQUAL "INCLUDE"
              AND PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION_MAX)))
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
  endif()
else()
  string(REGEX MATCH "^(0\\.[0-9]+|[1-9][0-9]*)" ringproof_ours "${PACKAGE_VERSION}")
  string(REGEX MATCH "^(0\\.[0-9]+|[1-9][0-9]*)" ringproof_asked "${PACKAGE_FIND_VERSION}")
  # Whoever asks for a major number alone takes every version of it.
  if((ringproof_ours STREQUAL ringproof_asked
      AND PACKAGE_VERSION VERSION_GREATER_EQUAL PACKAGE_FIND_VERSION)
     OR (PACKAGE_FIND_VERSION_COUNT EQUAL 1
         AND "${PACKAGE_VERSION}" MATCHES "^${PACKAGE_FIND_VERSION}\\."))
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
  endif()
  if(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
  unset(ringproof_ours)
  unset(ringproof_asked)
endif()
