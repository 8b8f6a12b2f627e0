#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace xception {

/// A value of a pickle. The Pickle that read it owns it; values may contain each other in circles.
struct PickleValue {
  enum class Kind {
    none,
    boolean,  ///< integer
    integer,  ///< integer; one of more than 64 bits is opaque
    real,     ///< real
    text,     ///< text, UTF-8 or not
    bytes,    ///< text
    list,     ///< items; tuples and torch.Size too
    tuple,
    set,
    dict,     ///< items: key, value, key, value ...
    global,   ///< text: "module.name", one that a weights file may name
    storage,  ///< text: its key; integer: its values; items: {the global of its type}
    tensor,   ///< items: {storage, offset, tuple of sizes, tuple of strides}
    opaque,   ///< something harmless that holds no weights
  };

  Kind kind = Kind::none;
  union {
    std::int64_t integer = 0;
    double real;
  };
  std::string text = {};
  std::vector<const PickleValue*> items = {};
};

/// Reads pickles (https://docs.python.org/3/library/pickletools.html), protocols 2 to 5, of what
/// weights files consist of: tensors, containers and plain values. Python's own reader calls
/// whatever functions a pickle names. This one calls nothing: it knows what a few functions would
/// give (the table in pickle_globals.cpp), and refuses any other by its name.
///
/// Memory is bounded by the pickle's length: nothing is copied that a pickle names twice, and
/// values, however deep in one another, lie in one list.
class Pickle {
 public:
  /// file: for messages. bytes: stay the caller's.
  Pickle(std::string file, std::string_view bytes) : file_(std::move(file)), bytes_(bytes) {}

  /// Reads one pickle, up to its STOP; the next call reads the one behind it. Errors (input).
  [[nodiscard]] const PickleValue& read();

  /// Every storage that the last pickle named.
  [[nodiscard]] const std::vector<const PickleValue*>& storages() const { return storages_; }

  /// The bytes read so far.
  [[nodiscard]] std::size_t position() const { return position_; }

 private:
  /// A checkpoint of a thousand tensors with its optimizer's state has tens of thousands.
  static constexpr std::size_t kMostValues = 2'000'000;

  using Kind = PickleValue::Kind;
  using Values = std::vector<const PickleValue*>;

  void step(unsigned char code);
  bool step_plain(unsigned char code);
  bool step_text(unsigned char code);
  bool step_stack(unsigned char code);
  bool step_container(unsigned char code);
  bool step_fill(unsigned char code);
  bool step_memo(unsigned char code);
  bool step_object(unsigned char code);

  // What is in the bytes.
  std::string_view take(std::uint64_t count);
  std::uint64_t take_number(std::size_t bytes);
  std::string_view take_line();

  // The stack.
  PickleValue& make(Kind kind);
  void push(const PickleValue& value);
  const PickleValue& pop();
  Values pop_last(std::size_t count);
  Values pop_to_mark();
  Values pop_pairs();
  void push_integer(std::string_view little_endian);
  /// The value on top of the stack, to be filled; one that this pickle made.
  PickleValue& top(Kind kind, std::string_view what);
  void extend(PickleValue& container, const Values& items);

  // What functions would give.
  void push_global(std::string_view module, std::string_view name);
  void call(const PickleValue& function, const PickleValue& arguments);
  void build();
  void load_storage(const PickleValue& id);
  void make_tensor(const PickleValue& arguments);

  [[noreturn]] void fail(const std::string& what) const;

  std::string file_;
  std::string_view bytes_;
  std::size_t position_ = 0;
  std::deque<PickleValue> values_;
  std::size_t items_ = 0;  ///< in all containers
  Values stack_;
  Values storages_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, const PickleValue*> memo_;
};

}  // namespace xception
