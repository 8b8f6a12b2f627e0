// What a pickle's calls would give, without calling anything.
#include <algorithm>

#include "pickle.h"
#include "pickle_globals.h"
#include "xception/core/error.h"
#include "xception/core/readable.h"

namespace xception {
namespace {

using Kind = PickleValue::Kind;

bool is_sequence(const PickleValue& value) {
  return value.kind == Kind::list || value.kind == Kind::tuple || value.kind == Kind::set;
}

bool is_tuple_of_integers(const PickleValue& value) {
  return value.kind == Kind::tuple &&
         std::all_of(value.items.begin(), value.items.end(),
                     [](const auto* item) { return item->kind == Kind::integer; });
}

}  // namespace

bool Pickle::step_object(unsigned char code) {
  switch (code) {
    case 'c': {
      const auto module = take_line();
      push_global(module, take_line());
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      const auto& name = pop();
      const auto& module = pop();
      if (name.kind != Kind::text || module.kind != Kind::text) fail("a global without a name");
      push_global(module.text, name.text);
      return true;
    }
    case 'R':
    case 0x81: {  // NEWOBJ: cls.__new__(cls, *arguments), which comes to the same here
      const auto& arguments = pop();
      call(pop(), arguments);
      return true;
    }
    case 0x92: {  // NEWOBJ_EX
      (void)pop();
      const auto& arguments = pop();
      call(pop(), arguments);
      return true;
    }
    case 'b':
      build();
      return true;
    case 'Q':
      load_storage(pop());
      return true;
    default:
      return false;
  }
}

void Pickle::push_global(std::string_view module, std::string_view name) {
  const auto full = std::string(module) + "." + std::string(name);
  if (find_global(full) == nullptr) {
    throw input_error(
        "weights",
        "{}: wants to call {}; a weights file may hold tensors and plain values only, "
        "and nothing of it was executed: save model.state_dict()",
        file_, readable(full));
  }
  auto& made = make(Kind::global);
  made.text = full;
  push(made);
}

void Pickle::call(const PickleValue& function, const PickleValue& arguments) {
  if (function.kind != Kind::global) fail("calls what is no function: it is damaged");
  if (arguments.kind != Kind::tuple) fail("a call without arguments: it is damaged");
  const auto& global = *find_global(function.text);
  const auto& items = arguments.items;
  switch (global.gives) {
    case PickleGlobal::Gives::tensor:
      return make_tensor(arguments);
    case PickleGlobal::Gives::parameter:
      if (items.empty() || items[0]->kind != Kind::tensor) fail("a parameter that is no tensor");
      return push(*items[0]);
    case PickleGlobal::Gives::counts:
      return push(make(Kind::dict));
    case PickleGlobal::Gives::dict: {
      // The same items under another name.
      if (!items.empty() && items[0]->kind == Kind::dict) return push(*items[0]);
      auto& made = make(Kind::dict);
      if (!items.empty() && is_sequence(*items[0])) {
        for (const auto* pair : items[0]->items) {
          if (!is_sequence(*pair) || pair->items.size() != 2) fail("a dict of what are no pairs");
          extend(made, pair->items);
        }
      }
      return push(made);
    }
    case PickleGlobal::Gives::sequence: {
      if (items.empty()) return push(make(Kind::tuple));
      if (!is_sequence(*items[0])) fail("a sequence of what is none");
      // The same items under another name: sizes are tuples.
      if (items[0]->kind == Kind::tuple) return push(*items[0]);
      return push(make(Kind::opaque));
    }
    case PickleGlobal::Gives::opaque:
      return push(make(Kind::opaque));
    case PickleGlobal::Gives::nothing:
      break;
  }
  fail(fmt::format("calls {}, which is no function: it is damaged", readable(function.text)));
}

void Pickle::build() {
  (void)pop();  // attributes, of which weights need none
  const auto& object = pop();
  push(object);
  if (object.kind != Kind::dict && object.kind != Kind::opaque && object.kind != Kind::tensor) {
    fail("sets attributes of what has none: it is damaged");
  }
}

void Pickle::load_storage(const PickleValue& id) {
  // ("storage", type, key, device, values), and in old files how it is a part of another.
  const auto& items = id.items;
  const bool right = id.kind == Kind::tuple && items.size() >= 5 && items[0]->text == "storage" &&
                     items[1]->kind == Kind::global &&
                     !find_global(items[1]->text)->dtype.empty() && items[2]->kind == Kind::text &&
                     items[4]->kind == Kind::integer && items[4]->integer >= 0 &&
                     (items.size() == 5 || (items.size() == 6 && items[5]->kind == Kind::none));
  if (!right) fail("a storage of an unknown kind; save it with a newer torch.save");
  auto& made = make(Kind::storage);
  made.text = items[2]->text;
  made.integer = items[4]->integer;
  made.items = {items[1]};
  storages_.push_back(&made);
  push(made);
}

void Pickle::make_tensor(const PickleValue& arguments) {
  const auto& items = arguments.items;
  const bool right = items.size() >= 4 && items[0]->kind == Kind::storage &&
                     items[1]->kind == Kind::integer && is_tuple_of_integers(*items[2]) &&
                     is_tuple_of_integers(*items[3]) &&
                     items[2]->items.size() == items[3]->items.size();
  if (!right) fail("a tensor of wrong arguments: it is damaged");
  auto& made = make(Kind::tensor);
  made.items.assign(items.begin(), items.begin() + 4);
  push(made);
}

}  // namespace xception
