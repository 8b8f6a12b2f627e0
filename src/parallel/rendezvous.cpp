#include "rendezvous.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "process_group.h"
#include "xception/core/error.h"
#include "xception/core/first_line.h"

namespace xception {
namespace {

using std::chrono::milliseconds;

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1";
}

/// The address of this machine on its way to `host`: what other machines can reach it at. Empty if
/// there is no way.
std::string address_towards(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return "";
  std::string address;
  for (auto* item = found; item != nullptr && address.empty(); item = item->ai_next) {
    const int socket = ::socket(item->ai_family, SOCK_DGRAM, 0);
    if (socket < 0) continue;
    sockaddr_storage own{};
    socklen_t length = sizeof(own);
    std::array<char, NI_MAXHOST> text{};
    // A datagram socket's connect sends nothing; it only chooses the route.
    if (::connect(socket, item->ai_addr, item->ai_addrlen) == 0 &&
        ::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &length) == 0 &&
        ::getnameinfo(reinterpret_cast<sockaddr*>(&own), length, text.data(), text.size(), nullptr,
                      0, NI_NUMERICHOST) == 0) {
      address = text.data();
    }
    ::close(socket);
  }
  ::freeaddrinfo(found);
  return address;
}

/// The first address of this machine that isn't its own loop.
std::string outward_address() {
  ifaddrs* interfaces = nullptr;
  if (::getifaddrs(&interfaces) != 0) return "";
  std::string address;
  for (auto* item = interfaces; item != nullptr && address.empty(); item = item->ifa_next) {
    if (item->ifa_addr == nullptr || item->ifa_addr->sa_family != AF_INET ||
        (item->ifa_flags & IFF_UP) == 0 || (item->ifa_flags & IFF_LOOPBACK) != 0) {
      continue;
    }
    std::array<char, INET_ADDRSTRLEN> text{};
    const auto* internet = reinterpret_cast<const sockaddr_in*>(item->ifa_addr);
    if (::inet_ntop(AF_INET, &internet->sin_addr, text.data(), text.size()) != nullptr) {
      address = text.data();
    }
  }
  ::freeifaddrs(interfaces);
  return address;
}

c10d::TCPStoreOptions store_options(milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.timeout = timeout;
  options.waitWorkers = false;
  return options;
}

/// A LibTorch without libuv says so when its store is made.
c10::intrusive_ptr<c10d::TCPStore> make_store(const std::string& host,
                                              c10d::TCPStoreOptions options) {
  try {
    return c10::make_intrusive<c10d::TCPStore>(host, options);
  } catch (const std::exception& error) {
    if (std::string_view(error.what()).find("libuv") == std::string_view::npos) throw;
    options.useLibUV = false;
    return c10::make_intrusive<c10d::TCPStore>(host, options);
  }
}

}  // namespace

std::shared_ptr<gloo::transport::Device> gloo_device(const RankInfo& place) {
  using c10d::ProcessGroupGloo;
  if (const char* interface = std::getenv("GLOO_SOCKET_IFNAME")) {
    const std::string names = interface;
    return ProcessGroupGloo::createDeviceForInterface(names.substr(0, names.find(',')));
  }
  auto address = address_towards(place.store_address, place.store_port);
  if (place.local_size < place.size && is_loopback(address)) address = outward_address();
  if (address.empty()) return ProcessGroupGloo::createDefaultDevice();
  return ProcessGroupGloo::createDeviceForHostname(address);
}

c10::intrusive_ptr<c10d::Store> open_store(const RankInfo& place, bool hosts,
                                           milliseconds timeout) {
  auto options = store_options(timeout);
  options.port = place.store_port;
  options.isServer = hosts;
  try {
    return c10::make_intrusive<c10d::PrefixStore>(place.store_prefix,
                                                  make_store(place.store_address, options));
  } catch (const std::exception& error) {
    const auto text = first_line(error.what());
    if (hosts) {
      throw input_error("parallel",
                        "rank 0 can't listen at {}:{}: {}; set MASTER_PORT to a free port",
                        place.store_address, place.store_port, text);
    }
    throw input_error("parallel",
                      "rank {} finds no rank 0 at {}:{} within {} s: {}; check that it runs, the "
                      "address and the firewall",
                      place.rank, place.store_address, place.store_port, timeout.count() / 1000,
                      text);
  }
}

c10::intrusive_ptr<c10d::Store> host_store(std::uint16_t& port) {
  auto options = store_options(kMeeting);
  options.port = 0;
  options.isServer = true;
  const auto store = make_store("localhost", options);
  port = store->getPort();
  return store;
}

}  // namespace xception
