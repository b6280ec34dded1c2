# Flags, the shared precompiled header, and the functions every folder builds with.
#   power_flags   warnings and language level, for code without Qt
#   power_qt      power_flags + Qt + coroutines, for everything of the server
#   power_library(base SOURCES ... LINK ...)     static library power_base
#   power_test(tst_x LABELS unit SOURCES ... LINK ...)  one Qt Test executable = one CTest test
#   power_program(name SOURCES ... LINK ...)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
option(POWER_WERROR "Treat warnings as errors (CI)" OFF)
option(POWER_PCH "Share one precompiled header between the Qt targets" ON)

find_package(Qt6 6.4 REQUIRED COMPONENTS Core Network Sql HttpServer Test)
find_package(QCoro6 REQUIRED COMPONENTS Core Network)
find_package(spdlog REQUIRED)
find_package(PostgreSQL REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Threads REQUIRED)
set(CMAKE_AUTOMOC ON)

add_library(power_flags INTERFACE)
target_compile_options(power_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  $<$<CXX_COMPILER_ID:GNU>:-Wno-psabi>
  # In a unity build a .cpp is an included file, so gcc takes its file-local types for a header's.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>
  # gcc 12 at -O3 warns of overlaps inside its own std::string that cannot happen (GCC PR 105329).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<BOOL:${POWER_WERROR}>:-Werror>
  # The optimizer's guesses differ with version and inlining, and gcc 12 is known to be wrong about std::string: they
  # are shown, but do not fail CI.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-error=restrict>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-error=array-bounds>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-error=stringop-overflow>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-error=maybe-uninitialized>
  # The last word on position independence: Qt 6.4 asks for it, Qt 6.8 does not, and a program built with -fPIE
  # could not use the precompiled header.
  -fPIC)

add_library(power_qt INTERFACE)
target_link_libraries(power_qt INTERFACE power_flags Qt6::Core Qt6::Network Qt6::Sql
                      QCoro6::Core QCoro6::Network spdlog::spdlog Threads::Threads)
target_compile_definitions(power_qt INTERFACE
  QT_NO_CAST_FROM_ASCII QT_NO_CAST_TO_ASCII QT_NO_CONTEXTLESS_CONNECT QT_NO_FOREACH
  QT_NO_KEYWORDS QT_NO_URL_CAST_FROM_STRING QT_NO_NARROWING_CONVERSIONS_IN_CONNECT
  QT_DISABLE_DEPRECATED_BEFORE=0x060400)
target_include_directories(power_qt INTERFACE "${CMAKE_SOURCE_DIR}/server" "${CMAKE_SOURCE_DIR}/shared")

if(POWER_PCH)
  file(WRITE "${CMAKE_BINARY_DIR}/pch/empty.cpp" "")
  add_library(power_pch STATIC "${CMAKE_BINARY_DIR}/pch/empty.cpp")
  set_target_properties(power_pch PROPERTIES AUTOMOC OFF UNITY_BUILD OFF)
  target_link_libraries(power_pch PRIVATE power_qt)
  target_precompile_headers(power_pch PRIVATE "${CMAKE_SOURCE_DIR}/cmake/pch.h")
endif()

function(power_use_pch target)
  if(POWER_PCH)
    target_precompile_headers(${target} REUSE_FROM power_pch)
  endif()
endfunction()

function(power_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(power_${name} STATIC ${arg_SOURCES})
  target_link_libraries(power_${name} PUBLIC power_qt ${arg_LINK})
  power_use_pch(power_${name})
endfunction()

function(power_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE power_qt ${arg_LINK})
  power_use_pch(${name})
endfunction()

# TIMEOUT is in seconds (default 60). Tests that talk to the managed database or spawn the whole
# server take RESOURCE_LOCK so that two cores are not shared by several of them.
function(power_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LINK;LABELS;ENVIRONMENT;RESOURCE_LOCK" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  power_program(${name} SOURCES ${arg_SOURCES} LINK ${arg_LINK} Qt6::Test)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT}
                       ENVIRONMENT "QT_QPA_PLATFORM=offscreen;POWER_BIN=${CMAKE_BINARY_DIR}/bin;POWER_SOURCE=${CMAKE_SOURCE_DIR};${arg_ENVIRONMENT}")
  if(arg_RESOURCE_LOCK)
    set_tests_properties(${name} PROPERTIES RESOURCE_LOCK "${arg_RESOURCE_LOCK}")
  endif()
endfunction()
