#include "parallel/ranks_testing.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <thread>
#include <vector>

namespace xception {

namespace {

/// Waits until somebody listens: clients that come too early wait for a second.
void wait_for_listener(std::uint16_t port) {
  for (int i = 0; i < 500; ++i) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool listens =
        ::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    ::close(socket);
    if (listens) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace

std::uint16_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  if (::bind(socket, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw std::runtime_error("no free port");
  }
  ::close(socket);
  return ntohs(address.sin_port);
}

void run_ranks(int size, const std::function<void(const std::shared_ptr<Communicator>&)>& rank) {
  if (size == 1) {
    rank(Communicator::alone());
    return;
  }
  const auto port = free_port();
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  for (int i = 0; i < size; ++i) {
    threads.emplace_back([&, i] {
      try {
        RankInfo place;
        place.rank = place.local_rank = i;
        place.size = place.local_size = size;
        place.launcher = Launcher::torchrun;
        place.store_address = "localhost";
        place.store_port = port;
        place.hosts_store = i == 0;
        place.store_prefix = "test";
        const auto ranks =
            Communicator::connect(place, torch::kCPU, {.collective = std::chrono::seconds(60)});
        rank(ranks);
        ranks->finish();
      } catch (...) {
        errors[static_cast<std::size_t>(i)] = std::current_exception();
      }
    });
    if (i == 0) wait_for_listener(port);
  }
  for (auto& thread : threads) thread.join();
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace xception
