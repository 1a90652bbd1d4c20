# SPDX-License-Identifier: BSD-2-Clause
# For the presets arm64 and riscv64, which set what is asked for here: Debian's cross compiler, and the libraries that
# `tools/cross sysroot` has fetched.
#   CROSS_ARCH       the preset        CROSS_PROCESSOR  what CMake and the compiler call it
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES CROSS_ARCH CROSS_PROCESSOR)
if(DEFINED ENV{MINIVET_CACHE})
  set(CMAKE_SYSROOT $ENV{MINIVET_CACHE}/cross/${CROSS_ARCH})
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(CMAKE_SYSROOT $ENV{XDG_CACHE_HOME}/minivet/cross/${CROSS_ARCH})
else()
  set(CMAKE_SYSROOT $ENV{HOME}/.cache/minivet/cross/${CROSS_ARCH})
endif()
if(NOT EXISTS ${CMAKE_SYSROOT}/usr/include)
  message(FATAL_ERROR "${CMAKE_SYSROOT}: no libraries for ${CROSS_ARCH}: run tools/cross --arch ${CROSS_ARCH} sysroot")
endif()
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${CROSS_PROCESSOR})
set(CMAKE_C_COMPILER ${CROSS_PROCESSOR}-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE ${CROSS_PROCESSOR}-linux-gnu)
set(CMAKE_FIND_ROOT_PATH ${CMAKE_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${CMAKE_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${CMAKE_SYSROOT}/usr/lib/${CROSS_PROCESSOR}-linux-gnu/pkgconfig)
# The C library is the sysroot's, as the other libraries are, which may need more than the compiler's own has.
set(CMAKE_EXE_LINKER_FLAGS_INIT -L${CMAKE_SYSROOT}/usr/lib/${CROSS_PROCESSOR}-linux-gnu)
# GCC calls its library for atomic exchanges of a byte.
if(CROSS_PROCESSOR STREQUAL "riscv64")
  set(CMAKE_C_STANDARD_LIBRARIES -latomic)
endif()
