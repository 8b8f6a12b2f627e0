#include "xception/core/error.h"
#include "xception/core/first_line.h"

#include <c10/util/Exception.h>

#include <new>

namespace xception {
namespace {

constexpr int kFailed = 1;

}  // namespace

ErrorLine describe_error(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    return {first_line(error.what()), error.exit_code()};
  } catch (const std::bad_alloc&) {
    return {"[commands] out of memory: the system gave no more", kFailed};
  } catch (const c10::Error& error) {
    return {"[libtorch] " + first_line(error.what_without_backtrace()), kFailed};
  } catch (const std::exception& error) {
    return {first_line(error.what()), kFailed};
  }
}

}  // namespace xception
