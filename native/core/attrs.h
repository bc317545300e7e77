#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "error.h"

namespace protea {

// The named numbers of one op call. A single number is a list of one.
class Attrs {
 public:
  void set(std::string name, std::vector<double> values) {
    values_.insert_or_assign(std::move(name), std::move(values));
  }
  void set(std::string name, double value) { set(std::move(name), std::vector<double>{value}); }

  bool has(const std::string& name) const { return values_.contains(name); }

  std::span<const double> list(const std::string& name) const {
    auto found = values_.find(name);
    check(found != values_.end(), Code::Unsupported, "attribute '", name, "' is missing");
    return found->second;
  }
  double number(const std::string& name) const {
    std::span<const double> values = list(name);
    check(values.size() == 1, Code::Unsupported, "attribute '", name, "' must be one number");
    return values[0];
  }
  double number(const std::string& name, double otherwise) const {
    return has(name) ? number(name) : otherwise;
  }
  int64_t integer(const std::string& name) const { return static_cast<int64_t>(number(name)); }
  int64_t integer(const std::string& name, int64_t otherwise) const {
    return has(name) ? integer(name) : otherwise;
  }

 private:
  std::map<std::string, std::vector<double>> values_;
};

}  // namespace protea
