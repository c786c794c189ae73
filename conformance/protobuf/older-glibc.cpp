// What the conformance runner uses of glibc 2.38 and libstdc++ 13, for systems that are older: the C23 names of
// four functions that it calls as C17 has them, and the symbol that makes the standard streams ready.
#include <cstdlib>
#include <ios>

extern "C" {
long __isoc23_strtol(const char *text, char **end, int base) { return std::strtol(text, end, base); }
unsigned long __isoc23_strtoul(const char *text, char **end, int base) { return std::strtoul(text, end, base); }
long long __isoc23_strtoll(const char *text, char **end, int base) { return std::strtoll(text, end, base); }
unsigned long long __isoc23_strtoull(const char *text, char **end, int base) { return std::strtoull(text, end, base); }
void _ZSt21ios_base_library_initv() { static std::ios_base::Init init; }
}
