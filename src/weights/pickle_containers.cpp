// A pickle's lists, tuples, dicts and sets, and its memo of values that it names again.
#include "pickle.h"
#include "xception/core/error.h"

namespace xception {

bool Pickle::step_stack(unsigned char code) {
  switch (code) {
    case '(':
      if (marks_.size() >= kMostValues) fail("too many marks: it is damaged");
      marks_.push_back(stack_.size());
      return true;
    case '0':  // POP, which takes a mark away where there is one
      if (!marks_.empty() && marks_.back() == stack_.size()) {
        marks_.pop_back();
      } else {
        (void)pop();
      }
      return true;
    case '1':
      (void)pop_to_mark();
      return true;
    case '2': {
      const auto& value = pop();
      push(value);
      push(value);
      return true;
    }
    default:
      return false;
  }
}

Pickle::Values Pickle::pop_last(std::size_t count) {
  Values items(count);
  for (auto item = items.rbegin(); item != items.rend(); ++item) *item = &pop();
  return items;
}

Pickle::Values Pickle::pop_pairs() {
  auto items = pop_to_mark();
  if (items.size() % 2 != 0) fail("a key without a value: it is damaged");
  return items;
}

bool Pickle::step_container(unsigned char code) {
  const auto container = [this](Kind kind, const Values& items) {
    auto& made = make(kind);
    extend(made, items);
    push(made);
    return true;
  };
  switch (code) {
    case ']':
      return container(Kind::list, {});
    case 'l':
      return container(Kind::list, pop_to_mark());
    case ')':
      return container(Kind::tuple, {});
    case 't':
      return container(Kind::tuple, pop_to_mark());
    case 0x85:
    case 0x86:
    case 0x87:
      return container(Kind::tuple, pop_last(code - 0x84U));
    case '}':
      return container(Kind::dict, {});
    case 'd':
      return container(Kind::dict, pop_pairs());
    case 0x8F:
      return container(Kind::set, {});
    case 0x91:
      return container(Kind::set, pop_to_mark());
    default:
      return false;
  }
}

bool Pickle::step_fill(unsigned char code) {
  const auto fill = [this](Kind kind, std::string_view what, const Values& items) {
    extend(top(kind, what), items);
    return true;
  };
  switch (code) {
    case 'a':
      return fill(Kind::list, "a list", pop_last(1));
    case 'e':
      return fill(Kind::list, "a list", pop_to_mark());
    case 's':
      return fill(Kind::dict, "a dict", pop_last(2));
    case 'u':
      return fill(Kind::dict, "a dict", pop_pairs());
    case 0x90:
      return fill(Kind::set, "a set", pop_to_mark());
    default:
      return false;
  }
}

bool Pickle::step_memo(unsigned char code) {
  const auto put = [this](std::uint64_t key) {
    const auto& value = pop();
    push(value);
    if (memo_.size() >= kMostValues) fail("too many memo entries: it is damaged");
    memo_[key] = &value;
  };
  const auto get = [this](std::uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) fail(fmt::format("memo entry {} is missing: it is damaged", key));
    push(*found->second);
  };
  switch (code) {
    case 'q':
      put(take_number(1));
      return true;
    case 'r':
      put(take_number(4));
      return true;
    case 0x94:
      put(memo_.size());
      return true;
    case 'h':
      get(take_number(1));
      return true;
    case 'j':
      get(take_number(4));
      return true;
    default:
      return false;
  }
}

}  // namespace xception
