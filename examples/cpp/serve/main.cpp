// Answers over HTTP and learns while it answers, as examples/go/serve does.
//
// usage: serve [--address HOST:PORT] [--steps-max N] BUNDLE STORE
//
//   POST /predict   {"lang": "de", "text": "Licht an"}, answered with a label and the version
//   POST /feedback  lines such as {"lang": "de", "text": "Licht an", "label": "on"}
//   POST /update    trains on the feedback so far, in the background
//   GET  /update    the progress of the running update, and what the last one changed
//   GET  /healthz   200 while it serves
//   GET  /metrics   for Prometheus
//
// An update never stops the answers: it trains at the system's lowest priority, and its versions
// become active between two predictions. SIGINT and SIGTERM end the service: running requests are
// answered, and a running update is cancelled and changes nothing.
#include "routes.hpp"

#include <atomic>
#include <csignal>
#include <iostream>

#include <unistd.h>

namespace {

// A connection that is kept open holds a thread.
constexpr std::size_t kThreads = 32;

// The largest body of a request.
constexpr std::size_t kBodyBytesMax = 1 << 20;

struct Arguments {
  std::string host = "localhost";
  int port = 8080;
  std::uint64_t steps_max = 0;
  std::vector<std::string> rest;
};

Arguments parse(int argc, char **argv) {
  Arguments arguments;
  for (int index = 1; index < argc; index++) {
    const std::string flag = argv[index];
    if (flag == "--address" && index + 1 < argc) {
      const std::string address = argv[++index];
      const std::size_t colon = address.rfind(':');
      if (colon == std::string::npos) {
        throw std::invalid_argument("--address: expected HOST:PORT, found " + address);
      }
      arguments.host = address.substr(0, colon);
      arguments.port = std::stoi(address.substr(colon + 1));
    } else if (flag == "--steps-max" && index + 1 < argc) {
      arguments.steps_max = std::stoull(argv[++index]);
    } else {
      arguments.rest.push_back(flag);
    }
  }
  if (arguments.rest.size() != 2) {
    throw std::invalid_argument(
        "usage: serve [--address HOST:PORT] [--steps-max N] BUNDLE STORE");
  }
  return arguments;
}

// Stops a server on SIGINT and SIGTERM. It is made before all other threads, which then leave the
// signals to it.
class Stopper {
 public:
  Stopper() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }

  Stopper(const Stopper &) = delete;
  Stopper &operator=(const Stopper &) = delete;

  // Serves until a signal comes, and until the requests that then run are answered.
  bool serve(httplib::Server &server) {
    std::thread waiting([&] {
      int signal = 0;
      sigwait(&signals_, &signal);
      // A server that has not begun yet would not notice that it is stopped.
      while (!ended_ && !server.is_running()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      server.stop();
    });
    const bool good = server.listen_after_bind();
    ended_ = true;
    kill(getpid(), SIGTERM);  // the thread above, if no signal has come
    waiting.join();
    return good;
  }

 private:
  sigset_t signals_;
  std::atomic<bool> ended_{false};
};

void run(const Arguments &arguments) {
  Stopper stopper;
  const auto engine = polygraft::Engine::open();
  const auto store = polygraft::Store::open(arguments.rest[1]);
  const auto model = polygraft::Model::open(engine, arguments.rest[0], store);
  Learner learner(model, arguments.steps_max);
  Metrics metrics;

  httplib::Server server;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_payload_max_length(kBodyBytesMax);
  server.set_tcp_nodelay(true);
  server.set_keep_alive_max_count(1000000);
  add_routes(server, model, learner, metrics);
  int port = arguments.port;
  if (port == 0) {
    port = server.bind_to_any_port(arguments.host);
  } else if (!server.bind_to_port(arguments.host, port)) {
    port = -1;
  }
  if (port < 0) {
    throw std::runtime_error("cannot listen on " + arguments.host + ":" +
                             std::to_string(arguments.port));
  }
  std::cerr << "listening on " << arguments.host << ":" << port << std::endl;
  if (!stopper.serve(server)) {
    throw std::runtime_error("the server ended by itself");
  }
}

}  // namespace

int main(int argc, char **argv) try {
  run(parse(argc, argv));
} catch (const std::invalid_argument &error) {
  std::cerr << error.what() << "\n";
  return 2;
} catch (const std::exception &error) {
  std::cerr << error.what() << "\n";
  return 1;
}
