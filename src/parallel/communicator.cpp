#include "xception/parallel/communicator.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/comm.hpp>
#include <utility>

#include "control_group.h"
#include "deadline.h"
#include "process_group.h"
#include "rendezvous.h"
#include "watch.h"
#include "xception/core/device_fault.h"
#include "xception/core/error.h"
#include "xception/core/first_line.h"
#include "xception/core/log.h"
#include "xception/core/memory.h"

namespace xception {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTelling{2000};  // for the others to read why rank 0 ends
constexpr std::size_t kBroadcastBytes = std::size_t{64} << 20;

std::string host_name() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

/// Runs a collective; what goes wrong in it, but for this rank's own device, means that somebody is
/// gone.
template <class Collective>
auto guarded(const char* what, Collective collective) {
  try {
    return collective();
  } catch (const std::exception& error) {
    rethrow_of_collective(what, error);
  }
}

// ---- The two communicators
// -----------------------------------------------------------------------

class Alone : public Communicator {
 public:
  Alone() : Communicator({}) {}
  void broadcast(const std::vector<torch::Tensor>&) override {}
  void sum(torch::Tensor&) override {}
  std::string broadcast_text(const std::string& text) override { return text; }
  std::vector<std::string> gather_texts(const std::string& text) override { return {text}; }
  torch::Tensor gather_rows(const torch::Tensor& rows) override { return rows.cpu(); }
  int agree(int value) override { return value; }
  int agree_later(int value) override { return value; }
  void finish() override {}
  void fail(const std::string&, int, bool) override {}
};

class Connected : public Communicator {
 public:
  Connected(const RankInfo& place, const torch::Device& device, const Timeouts& timeouts)
      : Communicator(place),
        host_(host_name()),
        on_gpu_(device.is_cuda()),
        collective_timeout_(timeouts.collective) {
    const auto meeting = std::max(kMeeting, timeouts.collective);
    store_ = open_store(place, place.hosts_store, meeting);
    watch_ = std::make_unique<Watch>(open_store(place, false, meeting),
                                     open_store(place, false, meeting), place, host_,
                                     timeouts.heartbeat, [this](const Failure& failure) {
                                       if (!failing_.exchange(true)) end_because_of(failure);
                                     });
    try {
      control_ = std::make_unique<ControlGroup>(make_gloo("control", timeouts.collective));
      group_ = c10::make_intrusive<c10d::ProcessGroup>(
          c10::make_intrusive<c10d::PrefixStore>("device", store_), place.rank, place.size);
      // The meeting: nobody goes on before all are there, and all train on the same kind of device.
      const auto kinds = gather_texts(device.is_cuda() ? "a GPU" : "the CPU");
      for (std::size_t i = 1; i < kinds.size(); ++i) {
        if (kinds[i] == kinds[0]) continue;
        throw input_error(
            "parallel",
            "rank {} would train on {}, but rank 0 on {}; give all --device cpu, or mend "
            "the machine that shows no GPU",
            i, kinds[i], kinds[0]);
      }
      const bool cuda = device.is_cuda();
      const auto type =
          cuda ? c10d::ProcessGroup::BackendType::NCCL : c10d::ProcessGroup::BackendType::GLOO;
      c10::intrusive_ptr<c10d::Backend> backend;
      if (cuda) {
        backend = make_nccl_backend(c10::make_intrusive<c10d::PrefixStore>("nccl", store_),
                                    place.rank, place.size, device, timeouts.collective);
      } else {
        backend = make_gloo("gloo", timeouts.collective);
      }
      group_->setBackend(device.type(), type, backend);
      group_->setDefaultBackend(type);
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      throw LostContact(fmt::format("[parallel] not all {} ranks came together: {}", place.size,
                                    first_line(error.what())));
    }
  }

  void broadcast(const std::vector<torch::Tensor>& tensors) override {
    guarded("broadcast", [&] {
      const auto deadline = first_on_device();
      const torch::NoGradGuard no_grad;
      // Coalesced by dtype and memory layout, so that each call moves plain bytes.
      std::vector<torch::Tensor> flat;
      flat.reserve(tensors.size());
      for (const auto& tensor : tensors) {
        flat.push_back(tensor.is_contiguous() ? tensor.detach() : tensor.detach().contiguous());
      }
      c10d::broadcast_coalesced(group_, flat, kBroadcastBytes, 0);
      for (std::size_t i = 0; i < tensors.size(); ++i) {
        if (!tensors[i].is_contiguous()) tensors[i].detach().copy_(flat[i]);
      }
    });
  }

  void sum(torch::Tensor& tensor) override {
    guarded("sum", [&] {
      const auto deadline = first_on_device();
      std::vector<torch::Tensor> tensors = {tensor};
      group_->allreduce(tensors)->wait();
    });
  }

  std::string broadcast_text(const std::string& text) override {
    return guarded("broadcast", [&] { return control_->broadcast_text(text); });
  }

  std::vector<std::string> gather_texts(const std::string& text) override {
    return guarded("gather", [&] { return control_->gather_texts(text); });
  }

  torch::Tensor gather_rows(const torch::Tensor& rows) override {
    const auto own = rows.detach().cpu().contiguous();  // may throw what the device did wrong
    return guarded("gather", [&] { return control_->gather_rows(own); });
  }

  int agree(int value) override {
    return guarded("agreement", [&] { return control_->agree(value); });
  }

  int agree_later(int value) override {
    return guarded("agreement", [&] { return control_->agree_later(value); });
  }

  void finish() override {
    guarded("finish", [&] {
      control_->wait();
      (void)gather_texts("");
      if (on_gpu_) group_->shutdown();
    });
    watch_->announce_end();
    watch_.reset();
  }

  void fail(const std::string& message, int exit_code, bool contact_lost) override {
    // The watch may have come first; it ends the process.
    while (failing_.exchange(true)) std::this_thread::sleep_for(milliseconds(100));
    const bool quiet = place().launcher == Launcher::self;
    if (!watch_) end(message, exit_code, true);
    if (!contact_lost) {
      Failure cause{.rank = rank(),
                    .host = host_,
                    .message = message,
                    .exit_code = exit_code,
                    .printed = true};
      const bool first = watch_->post(cause);
      end(cause.line(), exit_code, first || !quiet);
    }
    auto cause = watch_->wait_for_failure(milliseconds(1000));
    if (!cause) {
      const auto silent = watch_->find_silent_ranks();
      Failure found{.message = fmt::format(
                        "[parallel] lost contact with the other ranks ({}): one was killed, or a "
                        "machine or the network is gone",
                        message)};
      if (!silent.empty()) {
        found.rank = silent.front();
        found.host = watch_->host_of(found.rank);
        found.message = "[parallel] lost: killed, or its machine or network is gone";
      }
      if (!watch_->post(found) || silent.empty())
        cause = watch_->wait_for_failure(milliseconds(500));
      if (!cause) cause = watch_->wait_for_failure(milliseconds(1000));
      if (!cause) cause = found;
    }
    end_because_of(*cause);
  }

  [[nodiscard]] const c10::intrusive_ptr<c10d::ProcessGroup>& group() const { return group_; }

 private:
  c10::intrusive_ptr<c10d::ProcessGroupGloo> make_gloo(const std::string& name,
                                                       milliseconds timeout) {
    auto options = c10d::ProcessGroupGloo::Options::create(timeout);
    options->devices = {gloo_device(place())};
    return c10::make_intrusive<c10d::ProcessGroupGloo>(
        c10::make_intrusive<c10d::PrefixStore>(name, store_), rank(), size(), options);
  }

  /// NCCL meets in its first collective, for which it knows no time limit.
  std::unique_ptr<Deadline> first_on_device() {
    if (!on_gpu_ || std::exchange(met_on_device_, true)) return nullptr;
    return std::make_unique<Deadline>(collective_timeout_, [this] {
      fail(fmt::format("[parallel] NCCL didn't connect the GPUs within {:g} s (parallel.timeout); "
                       "NCCL_DEBUG=INFO shows why; NCCL_SOCKET_IFNAME names the network interface",
                       std::chrono::duration<double>(collective_timeout_).count()),
           1, /*contact_lost=*/false);
    });
  }

  /// Another rank's failure, told here.
  [[noreturn]] void end_because_of(const Failure& cause) {
    const bool own_side = cause.rank < 0 || cause.rank == rank();
    const auto line = own_side ? cause.line()
                               : fmt::format("[parallel] rank {} ({}) failed: {}", cause.rank,
                                             cause.host, cause.message);
    end(line, cause.exit_code, place().launcher != Launcher::self);
  }

  /// Without destructors: those of process groups wait for collectives that never end.
  [[noreturn]] void end(const std::string& line, int exit_code, bool print) {
    if (print) print_error(line);
    if (watch_) watch_->announce_end();
    // The store dies with the process that hosts it: the others shall have read the cause.
    if (place().hosts_store) std::this_thread::sleep_for(kTelling);
    spdlog::default_logger()->flush();
    std::fflush(nullptr);
    std::_Exit(exit_code);
  }

  std::string host_;
  bool on_gpu_;
  milliseconds collective_timeout_;
  bool met_on_device_ = false;
  std::atomic<bool> failing_ = false;
  c10::intrusive_ptr<c10d::Store> store_;
  std::unique_ptr<Watch> watch_;
  std::unique_ptr<ControlGroup> control_;
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
};

}  // namespace

std::shared_ptr<Communicator> Communicator::alone() {
  return std::make_shared<Alone>();
}

std::shared_ptr<Communicator> Communicator::connect(const RankInfo& place,
                                                    const torch::Device& device,
                                                    const Timeouts& timeouts) {
  return std::make_shared<Connected>(place, device, timeouts);
}

void rethrow_of_collective(const std::string& what, const std::exception& error) {
  const std::string text = error.what();
  if (is_out_of_memory(text) || is_device_fault(text) ||
      text.find("unhandled cuda error") != std::string::npos) {
    throw;
  }
  throw LostContact(fmt::format("{}: {}", what, first_line(text)));
}

c10::intrusive_ptr<c10d::ProcessGroup> device_group(const Communicator& communicator) {
  const auto* connected = dynamic_cast<const Connected*>(&communicator);
  return connected == nullptr ? nullptr : connected->group();
}

}  // namespace xception
