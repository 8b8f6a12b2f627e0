#include "xception/core/error.h"
#include "xception/core/first_line.h"

#include <c10/util/Exception.h>

#include <filesystem>
#include <new>
#include <system_error>

namespace xception {
namespace {

constexpr int kFailed = static_cast<int>(Error::Kind::run);
constexpr int kBadInput = static_cast<int>(Error::Kind::input);

}  // namespace

ErrorLine describe_error(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    return {first_line(error.what()), error.exit_code()};
  } catch (const std::bad_alloc&) {
    return {"[commands] out of memory: the system gave no more", kFailed};
  } catch (const std::filesystem::filesystem_error& error) {
    // Of a path that can't be looked at: its own name, or what stands in its way, is to blame.
    const auto code = error.code();
    const bool bad_path =
        code == std::errc::filename_too_long || code == std::errc::too_many_symbolic_link_levels ||
        code == std::errc::not_a_directory || code == std::errc::permission_denied ||
        code == std::errc::no_such_file_or_directory;
    return {fmt::format("[commands] {}: {}", error.path1().string(), code.message()),
            bad_path ? kBadInput : kFailed};
  } catch (const c10::Error& error) {
    return {"[libtorch] " + first_line(error.what_without_backtrace()), kFailed};
  } catch (const std::exception& error) {
    return {first_line(error.what()), kFailed};
  }
}

}  // namespace xception
