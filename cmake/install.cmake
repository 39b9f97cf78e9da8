# `cmake --install`: the program with its man page and completions, the library and its headers, a CMake package
# (find_package(transom) gives transom::transom) and a pkg-config file. Both list what the library links, read off the
# target itself, so that a layer that links something new needs no change here, or fails at configure time.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# name of a linked target -> CMake package, pkg-config module
set(package_Threads::Threads "find_dependency(Threads)")
set(module_Threads::Threads "")
set(package_fmt::fmt "find_dependency(fmt)")
set(module_fmt::fmt fmt)
set(package_spdlog::spdlog "find_dependency(spdlog)")
set(module_spdlog::spdlog spdlog)
set(package_nlohmann_json::nlohmann_json "find_dependency(nlohmann_json)")
set(module_nlohmann_json::nlohmann_json nlohmann_json)
set(package_simdjson::simdjson "find_dependency(simdjson)")
set(module_simdjson::simdjson "simdjson")

get_target_property(linked transom INTERFACE_LINK_LIBRARIES)
set(TRANSOM_PACKAGES "")
set(modules "")
set(libraries "-pthread")
foreach(item IN LISTS linked)
  string(REGEX REPLACE "^\\$<LINK_ONLY:(.*)>$" "\\1" item "${item}")
  if(item MATCHES "^::@")
    continue()  # CMake's note of the folder that added the next item
  elseif(item MATCHES "^PkgConfig::(.+)$")
    set(prefix ${CMAKE_MATCH_1})
    string(APPEND TRANSOM_PACKAGES
      "find_dependency(PkgConfig)\npkg_check_modules(${prefix} REQUIRED IMPORTED_TARGET ${${prefix}_MODULE_NAME})\n")
    list(APPEND modules ${${prefix}_MODULE_NAME})
  elseif(item MATCHES "::")
    if(NOT DEFINED package_${item})
      message(FATAL_ERROR "cmake/install.cmake: say how a user of the installed library finds ${item}")
    endif()
    string(APPEND TRANSOM_PACKAGES "${package_${item}}\n")
    list(APPEND modules ${module_${item}})
  elseif(item MATCHES "^-" OR item MATCHES "/")
    string(APPEND libraries " ${item}")
  else()
    string(APPEND libraries " -l${item}")
  endif()
endforeach()
list(REMOVE_DUPLICATES modules)
list(JOIN modules " " TRANSOM_MODULES)
set(TRANSOM_LIBRARIES "${libraries}")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/transom)
configure_package_config_file(cmake/transomConfig.cmake.in ${PROJECT_BINARY_DIR}/transomConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/transomConfigVersion.cmake COMPATIBILITY SameMinorVersion)
file(RELATIVE_PATH TRANSOM_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)  # it can be moved
configure_file(cmake/transom.pc.in ${PROJECT_BINARY_DIR}/transom.pc @ONLY)

install(TARGETS transom EXPORT transom ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT transom NAMESPACE transom:: FILE transomTargets.cmake DESTINATION ${package_dir})
install(FILES ${PROJECT_BINARY_DIR}/transomConfig.cmake ${PROJECT_BINARY_DIR}/transomConfigVersion.cmake
  DESTINATION ${package_dir})
install(FILES ${PROJECT_BINARY_DIR}/transom.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(DIRECTORY include/transom DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS transom_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_BINARY_DIR}/share/ DESTINATION ${CMAKE_INSTALL_DATADIR})
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
