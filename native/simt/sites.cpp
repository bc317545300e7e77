// Names and texts: where threads wait, and what went wrong there.
#include <cstdlib>
#include <cstring>

#include "threads.h"

namespace simt {

const char* name_of(Fault fault) {
  static const char* names[] = {"race",
                                "read of shared memory that was never written",
                                "use of memory an asynchronous copy is filling",
                                "barrier not reached by all threads",
                                "collective not reached by all lanes",
                                "deadlock",
                                "wild address",
                                "misaligned address",
                                "launch refused",
                                "stack overrun"};
  return names[static_cast<int>(fault)];
}

std::ostream& operator<<(std::ostream& out, Site site) {
  return out << site.name() << ":" << site.line;
}

std::ostream& operator<<(std::ostream& out, const uint3& at) {
  return out << "(" << at.x << ", " << at.y << ", " << at.z << ")";
}

static std::set<Site> visited;

bool left_out(Site site) {
  visited.insert(site);
  return config.skip == site;
}

const char* Site::name() const {
  const char* slash = std::strrchr(file, '/');
  return slash ? slash + 1 : file;
}

bool Site::operator==(const Site& other) const {
  return line == other.line && !std::strcmp(name(), other.name());
}

bool Site::operator<(const Site& other) const {
  return line != other.line ? line < other.line : std::strcmp(name(), other.name()) < 0;
}

std::set<Site> visited_sites() { return std::move(visited); }

void fail(Fault kind, const std::string& what) {
  block.failing = true;
  std::ostringstream full;
  full << name_of(kind) << ": " << what;
  if (!block.running) throw Failure(kind, full.str());
  full << " (kernel " << running->name << ", block " << here.block << ", thread " << here.thread
       << ")";
  leave(kind, full.str());
  std::abort();
}

}  // namespace simt
