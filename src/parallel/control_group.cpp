#include "control_group.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace xception {
namespace {

std::string text_of(const torch::Tensor& bytes, std::int64_t length) {
  return {static_cast<const char*>(bytes.const_data_ptr()), static_cast<std::size_t>(length)};
}

torch::Tensor length_of(const std::string& text) {
  return torch::tensor({static_cast<std::int64_t>(text.size())}, torch::kInt64);
}

}  // namespace

ControlGroup::ControlGroup(c10::intrusive_ptr<c10d::ProcessGroupGloo> group)
    : group_(std::move(group)) {}

std::string ControlGroup::broadcast_text(const std::string& text) {
  auto length = length_of(text);
  broadcast(length);
  auto bytes = torch::empty({length.item<std::int64_t>()}, torch::kUInt8);
  if (group_->getRank() == 0) std::memcpy(bytes.mutable_data_ptr(), text.data(), text.size());
  if (bytes.numel() > 0) broadcast(bytes);
  return text_of(bytes, bytes.numel());
}

std::vector<std::string> ControlGroup::gather_texts(const std::string& text) {
  const auto lengths = all_gather(length_of(text));
  std::int64_t longest = 1;
  for (const auto& length : lengths) longest = std::max(longest, length.item<std::int64_t>());
  auto bytes = torch::zeros({longest}, torch::kUInt8);
  std::memcpy(bytes.mutable_data_ptr(), text.data(), text.size());
  const auto all = all_gather(bytes);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < all.size(); ++i) {
    texts.push_back(text_of(all[i], lengths[i].item<std::int64_t>()));
  }
  return texts;
}

torch::Tensor ControlGroup::gather_rows(const torch::Tensor& rows) {
  // Rows and columns; no columns: a list of numbers.
  const auto shapes = torch::stack(
      all_gather(torch::tensor({rows.size(0), rows.dim() > 1 ? rows.size(1) : 0}, torch::kInt64)));
  const auto longest = shapes.select(1, 0).max().item<std::int64_t>();
  const auto columns = shapes.select(1, 1).max().item<std::int64_t>();
  if (longest == 0) return rows;
  std::vector<std::int64_t> sizes = {longest};
  if (columns > 0) sizes.push_back(columns);
  auto padded = torch::zeros(sizes, rows.options());
  if (rows.size(0) > 0) padded.narrow(0, 0, rows.size(0)).copy_(rows);
  const auto all = all_gather(padded);
  std::vector<torch::Tensor> parts;
  for (std::int64_t i = 0; i < shapes.size(0); ++i) {
    const auto count = shapes[i][0].item<std::int64_t>();
    parts.push_back(all[static_cast<std::size_t>(i)].narrow(0, 0, count));
  }
  return torch::cat(parts);
}

int ControlGroup::agree(int value) {
  const auto values = all_gather(torch::tensor({value}, torch::kInt32));
  int largest = value;
  for (const auto& other : values) largest = std::max(largest, other.item<int>());
  return largest;
}

int ControlGroup::agree_later(int value) {
  int agreed = 0;
  if (later_) {
    later_->wait();
    agreed = later_value_.front().item<int>();
  }
  later_value_ = {torch::tensor({value}, torch::kInt32)};
  c10d::AllreduceOptions options;
  options.reduceOp = c10d::ReduceOp::MAX;
  later_ = group_->allreduce(later_value_, options);
  return agreed;
}

void ControlGroup::wait() {
  if (later_) later_->wait();
}

void ControlGroup::broadcast(torch::Tensor& tensor) {
  std::vector<torch::Tensor> tensors = {tensor};
  group_->broadcast(tensors)->wait();
}

std::vector<torch::Tensor> ControlGroup::all_gather(const torch::Tensor& tensor) {
  std::vector<torch::Tensor> input = {tensor};
  std::vector<std::vector<torch::Tensor>> output(1);
  for (int i = 0; i < group_->getSize(); ++i) output[0].push_back(torch::empty_like(tensor));
  group_->allgather(output, input)->wait();
  return output[0];
}

}  // namespace xception
