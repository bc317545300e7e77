// Where cuBLASLt is found. Without a GPU a twin (blas_twin.h) takes its place, if asked for.
#include <cstdlib>
#include <cstring>

#include "blas_api.h"

#ifdef __CUDACC__
#include <dlfcn.h>
#include <glob.h>

#include <sstream>
#include <vector>
#else
#include "blas_twin.h"
#endif

namespace protea::gpu::lt {
namespace {

std::string setting() {
  const char* text = std::getenv("PROTEA_CUBLASLT");
  return text ? text : "";
}

#ifdef __CUDACC__

std::string home_folder(const char* variable, const char* below) {
  const char* folder = std::getenv(variable);
  return folder ? std::string(folder) + below : "";
}

// Files that match, the newest version last.
std::vector<std::string> matches(const std::string& pattern) {
  std::vector<std::string> files;
  glob_t found;
  if (!pattern.empty() && glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; i++) files.emplace_back(found.gl_pathv[i]);
    globfree(&found);
  }
  return files;
}

// Where Python's packages may lie: those of the environment that is active, of every program folder
// of PATH (a Python that is called without being activated), and the usual ones.
std::vector<std::string> python_folders() {
  std::vector<std::string> folders = {home_folder("VIRTUAL_ENV", "/lib"),
                                      home_folder("CONDA_PREFIX", "/lib")};
  std::istringstream path(home_folder("PATH", ""));
  for (std::string folder; std::getline(path, folder, ':');) folders.push_back(folder + "/../lib");
  folders.insert(folders.end(), {home_folder("HOME", "/.local/lib"), "/usr/local/lib", "/usr/lib",
                                 "/opt/*/lib", "/opt/*/.venv/lib"});
  std::erase(folders, "");
  return folders;
}

std::vector<std::string> places() {
  std::vector<std::string> names = {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"};
  const std::string file = "/libcublasLt.so.1*";
  std::vector<std::string> patterns = {home_folder("CUDA_HOME", "/lib64") + file,
                                       "/usr/local/cuda/lib64" + file};
  for (const std::string& folder : python_folders())
    patterns.push_back(folder + "/python3*/*-packages/nvidia/*/lib" + file);
  for (const std::string& pattern : patterns) {
    std::vector<std::string> files = matches(pattern);
    names.insert(names.end(), files.rbegin(), files.rend());
  }
  return names;
}

bool resolve(void* library, Api& api) {
  bool complete = true;
  auto find = [&](auto& function, const char* name) {
    void* symbol = dlsym(library, name);
    std::memcpy(&function, &symbol, sizeof symbol);
    complete = complete && symbol;
  };
  find(api.version, "cublasLtGetVersion");
  find(api.create, "cublasLtCreate");
  find(api.destroy, "cublasLtDestroy");
  find(api.desc_create, "cublasLtMatmulDescCreate");
  find(api.desc_set, "cublasLtMatmulDescSetAttribute");
  find(api.desc_destroy, "cublasLtMatmulDescDestroy");
  find(api.layout_create, "cublasLtMatrixLayoutCreate");
  find(api.layout_destroy, "cublasLtMatrixLayoutDestroy");
  find(api.preference_create, "cublasLtMatmulPreferenceCreate");
  find(api.preference_set, "cublasLtMatmulPreferenceSetAttribute");
  find(api.preference_destroy, "cublasLtMatmulPreferenceDestroy");
  find(api.heuristic, "cublasLtMatmulAlgoGetHeuristic");
  find(api.matmul, "cublasLtMatmul");
  return complete;
}

const Api* open(const std::vector<std::string>& names, std::string& note) {
  static Api api;
  for (const std::string& name : names) {
    void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) continue;
    if (resolve(library, api)) {
      note = name;
      return &api;
    }
    dlclose(library);
  }
  note = names.size() == 1 ? names[0] + " is no cuBLASLt" : "cuBLASLt was not found";
  return nullptr;
}

const Api* find(const std::string& asked, std::string& note) {
  return open(asked.empty() ? places() : std::vector<std::string>{asked}, note);
}

#else

const Api* find(const std::string& asked, std::string& note) {
  note = "cuBLASLt is not emulated unless asked for";
  if (asked != "emulated" && asked != "emulated-wrong") return nullptr;
  note = "emulated";
  return &twin(asked == "emulated-wrong");
}

#endif

struct Loaded {
  std::string note = "switched off by PROTEA_CUBLASLT";
  const Api* api = setting() == "off" ? nullptr : find(setting(), note);
};

}  // namespace

const Api* load(std::string& note) {
  static const Loaded loaded;
  note = loaded.note;
  return loaded.api;
}

std::string version_of(const Api& api) {
  size_t version = api.version();
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100);
}

}  // namespace protea::gpu::lt
