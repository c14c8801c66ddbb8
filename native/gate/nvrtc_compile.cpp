// Compiles one kernel source with NVRTC for one architecture and prints, for each kernel, what
// ptxas reports. No GPU and no CUDA header is needed: NVRTC is opened by dlopen.
//
//   nvrtc_compile LIBNVRTC SOURCE ARCH [CUBIN]
//
// Exit status: 0 compiled without a spill, 1 errors or spills, 2 usage or a missing library.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Program = void*;

struct Nvrtc {
  int (*create)(Program*, const char*, const char*, int, const char* const*, const char* const*);
  int (*compile)(Program, int, const char* const*);
  int (*log_size)(Program, std::size_t*);
  int (*log)(Program, char*);
  int (*cubin_size)(Program, std::size_t*);
  int (*cubin)(Program, char*);
  int (*version)(int*, int*);
};

template <class F>
void bind(void* library, const char* name, F& f) {
  f = reinterpret_cast<F>(dlsym(library, name));
  if (f == nullptr) {
    std::fprintf(stderr, "nvrtc_compile: the library lacks %s\n", name);
    std::exit(2);
  }
}

Nvrtc open_nvrtc(const char* path) {
  void* library = dlopen(path, RTLD_NOW);
  if (library == nullptr) {
    std::fprintf(stderr, "nvrtc_compile: %s\n", dlerror());
    std::exit(2);
  }
  Nvrtc n{};
  bind(library, "nvrtcCreateProgram", n.create);
  bind(library, "nvrtcCompileProgram", n.compile);
  bind(library, "nvrtcGetProgramLogSize", n.log_size);
  bind(library, "nvrtcGetProgramLog", n.log);
  bind(library, "nvrtcGetCUBINSize", n.cubin_size);
  bind(library, "nvrtcGetCUBIN", n.cubin);
  bind(library, "nvrtcVersion", n.version);
  return n;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    std::fprintf(stderr, "nvrtc_compile: cannot read %s\n", path.c_str());
    std::exit(2);
  }
  return {std::istreambuf_iterator<char>(in), {}};
}

// Reads ptxas -v: "Compiling entry function 'name'", then stack and spill bytes, then registers.
// Returns the number of kernels that spill; kernels counts all of them.
int report(const std::string& log, const std::string& arch, int& kernels) {
  std::regex entry("Compiling entry function '([^']+)'");
  std::regex spill("([0-9]+) bytes stack frame, ([0-9]+) bytes spill stores, ([0-9]+) bytes spill");
  std::regex registers("Used ([0-9]+) registers");
  std::regex shared("([0-9]+) bytes smem");
  std::istringstream lines(log);
  std::string line, name = "?";
  std::string stack = "?", spilled = "?";
  int bad = 0;
  for (std::smatch m; std::getline(lines, line);) {
    if (std::regex_search(line, m, entry)) name = m[1];
    if (std::regex_search(line, m, spill)) {
      stack = m[1];
      spilled = m[2];
    }
    if (!std::regex_search(line, m, registers)) continue;
    std::string used = m[1];
    std::string smem = std::regex_search(line, m, shared) ? m[1].str() : "0";
    std::printf("%-8s %-34s %9s %12s %6s %6s\n", arch.c_str(), name.c_str(), used.c_str(),
                smem.c_str(), stack.c_str(), spilled.c_str());
    ++kernels;
    if (spilled != "0") ++bad;
    stack = spilled = "?";
  }
  return bad;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::fprintf(stderr, "usage: nvrtc_compile LIBNVRTC SOURCE ARCH [CUBIN]\n");
    return 2;
  }
  Nvrtc nvrtc = open_nvrtc(argv[1]);
  std::string path = argv[2], arch = argv[3], source = read_file(path);
  std::size_t slash = path.find_last_of('/');
  std::string include = "-I" + (slash == std::string::npos ? "." : path.substr(0, slash));
  std::string target = "--gpu-architecture=" + arch;
  std::vector<const char*> options = {target.c_str(), include.c_str(), "--std=c++17",
                                      "--ptxas-options=-v", "--ptxas-options=-warn-spills"};
  Program program = nullptr;
  if (nvrtc.create(&program, source.c_str(), path.c_str(), 0, nullptr, nullptr) != 0) {
    std::fprintf(stderr, "nvrtc_compile: cannot create a program\n");
    return 1;
  }
  int result = nvrtc.compile(program, static_cast<int>(options.size()), options.data());
  std::size_t size = 0;
  nvrtc.log_size(program, &size);
  std::string log(size, '\0');
  nvrtc.log(program, log.data());
  if (result != 0) {
    std::fprintf(stderr, "%s for %s:\n%s\n", path.c_str(), arch.c_str(), log.c_str());
    return 1;
  }
  int kernels = 0;
  int spilling = report(log, arch, kernels);
  if (kernels == 0) {
    std::fprintf(stderr, "%s for %s: no kernel was reported\n%s\n", path.c_str(), arch.c_str(),
                 log.c_str());
    return 1;
  }
  if (argc == 5) {
    nvrtc.cubin_size(program, &size);
    std::string cubin(size, '\0');
    nvrtc.cubin(program, cubin.data());
    std::ofstream(argv[4], std::ios::binary).write(cubin.data(), static_cast<long>(size));
  }
  if (spilling > 0) {
    std::fprintf(stderr, "%s for %s: %d kernel(s) spill registers\n", path.c_str(), arch.c_str(),
                 spilling);
    return 1;
  }
  return 0;
}
