// The standard library's headers.
#include <algorithm>
#include <string>
#include <vector>
std::string joined(std::vector<std::string> v)
{
	std::sort(v.begin(), v.end());
	std::string s;
	for (auto &x : v)
		s += x + ",";
	return s;
}
