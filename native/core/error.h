#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace protea {

// Mirrors ErrorCode in lib/error.ts; the addon translates by name (addon/convert.cpp).
enum class Code { Shape, Dtype, Device, OutOfMemory, Unsupported, Disposed, Data, Numeric, Cuda };

struct Error : std::runtime_error {
  Error(Code code, const std::string& message) : std::runtime_error(message), code(code) {}
  Code code;
};

// check(x.rank() == 2, Code::Shape, "[koleo] x must be (B, D), got ", x.shape)
template <typename... Parts>
void check(bool ok, Code code, const Parts&... parts) {
  if (ok) return;
  std::ostringstream message;
  (message << ... << parts);
  throw Error(code, message.str());
}

}  // namespace protea
