#pragma once
#include <string>

// The native tests need no Node: expect(...) counts and tells what failed, main prints the sum.
namespace protea::test {

void expect(bool ok, const std::string& what);

}  // namespace protea::test
