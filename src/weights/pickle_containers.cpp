// A pickle's lists, tuples, dicts and sets, and its memo of values that it names again.
#include "pickle.h"
#include "xception/core/error.h"

namespace xception {

bool Pickle::step_container(unsigned char code) {
  const auto container = [this](Kind kind, const Values& items) {
    auto& made = make(kind);
    extend(made, items);
    push(made);
  };
  const auto last = [this](std::size_t count) {
    Values items(count);
    for (auto item = items.rbegin(); item != items.rend(); ++item) *item = &pop();
    return items;
  };
  const auto pairs = [this](Values items) {
    if (items.size() % 2 != 0) fail("a key without a value: it is damaged");
    return items;
  };
  switch (code) {
    case '(': {
      if (marks_.size() >= kMostValues) fail("too many marks: it is damaged");
      marks_.push_back(stack_.size());
      return true;
    }
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
    case ']':
      container(Kind::list, {});
      return true;
    case 'l':
      container(Kind::list, pop_to_mark());
      return true;
    case ')':
      container(Kind::tuple, {});
      return true;
    case 't':
      container(Kind::tuple, pop_to_mark());
      return true;
    case 0x85:
      container(Kind::tuple, last(1));
      return true;
    case 0x86:
      container(Kind::tuple, last(2));
      return true;
    case 0x87:
      container(Kind::tuple, last(3));
      return true;
    case '}':
      container(Kind::dict, {});
      return true;
    case 'd':
      container(Kind::dict, pairs(pop_to_mark()));
      return true;
    case 0x8F:
      container(Kind::set, {});
      return true;
    case 0x91:
      container(Kind::set, pop_to_mark());
      return true;
    case 'a': {
      const auto item = last(1);
      extend(top(Kind::list, "a list"), item);
      return true;
    }
    case 'e': {
      const auto items = pop_to_mark();
      extend(top(Kind::list, "a list"), items);
      return true;
    }
    case 's': {
      const auto item = last(2);
      extend(top(Kind::dict, "a dict"), item);
      return true;
    }
    case 'u': {
      const auto items = pairs(pop_to_mark());
      extend(top(Kind::dict, "a dict"), items);
      return true;
    }
    case 0x90: {
      const auto items = pop_to_mark();
      extend(top(Kind::set, "a set"), items);
      return true;
    }
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
