// Collects feedback and runs one update at a time, on a thread of its own.
#ifndef SERVE_LEARNER_HPP
#define SERVE_LEARNER_HPP

#include <polygraft.hpp>

#include <mutex>
#include <string>
#include <thread>
#include <vector>

// The task that the service answers and learns.
inline constexpr const char *kTask = "light";

// A language that the last update gave a new version.
struct Change {
  std::string language;
  std::uint32_t version;
  std::string reason;
};

// What a client may know about the updates.
struct Learning {
  std::size_t waiting = 0;
  bool running = false;
  std::uint32_t phase = 0;
  double fraction = 0;
  std::size_t updates = 0;
  std::string error;
  std::vector<Change> changed;
};

// Why no update begins.
struct Refused {
  int status;
  std::string message;
};

class Learner {
 public:
  Learner(const polygraft::Model &model, std::uint64_t steps_max)
      : model_(model), steps_max_(steps_max) {}

  Learner(const Learner &) = delete;
  Learner &operator=(const Learner &) = delete;
  ~Learner() { stop(); }

  // Checks feedback and keeps it for the next update.
  void remember(const std::string &lines) {
    const auto examples = polygraft::Examples::parse(lines);
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_ += lines + "\n";
    now_.waiting += examples.size();
  }

  Learning state() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return now_;
  }

  // Begins an update in the background.
  void start() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (now_.running) {
      throw Refused{409, "an update is running"};
    }
    if (waiting_.empty()) {
      throw Refused{400, "there is no feedback to learn from"};
    }
    if (thread_.joinable()) {
      thread_.join();  // the thread of the last update, which has ended
    }
    const std::size_t count = now_.waiting;
    const std::size_t updates = now_.updates;
    now_ = Learning{};
    now_.running = true;
    now_.updates = updates;
    std::string lines;
    lines.swap(waiting_);
    thread_ = std::thread([this, lines = std::move(lines), count] { learn(lines, count); });
  }

  // Cancels a running update and waits for its end.
  void stop() {
    cancel_.trigger();
    if (thread_.joinable()) {
      thread_.join();
    }
  }

 private:
  // Trains, and activates what did not get worse. What it did not learn stays for the next update.
  void learn(const std::string &lines, std::size_t count) noexcept {
    std::vector<Change> changed;
    std::string error;
    try {
      changed = train(lines);
    } catch (const std::exception &failure) {
      error = failure.what();
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    now_.running = false;
    now_.phase = 0;
    now_.fraction = 0;
    now_.changed = std::move(changed);
    now_.error = error;
    if (error.empty()) {
      now_.updates++;
    } else {
      waiting_ = lines + waiting_;
      now_.waiting += count;
    }
  }

  std::vector<Change> train(const std::string &lines) {
    polygraft::UpdateOptions options;
    options.new_labels = 1;
    options.steps_max = steps_max_;
    options.background = 1;  // answers come first
    options.threads = 1;
    auto update = model_.begin_update(kTask, options);
    update.add_examples(polygraft::Examples::parse(lines));
    update.run(
        [this](const polygraft::Progress &progress) {
          const std::lock_guard<std::mutex> lock(mutex_);
          now_.phase = progress.phase;
          now_.fraction = progress.fraction;
        },
        &cancel_);
    std::vector<Change> changed;
    for (const polygraft::LanguageReport &entry : update.commit().languages()) {
      if (entry.version > 0) {
        changed.push_back({entry.language, entry.version, entry.reason});
      }
    }
    return changed;
  }

  const polygraft::Model &model_;
  const std::uint64_t steps_max_;
  const polygraft::Cancel cancel_ = polygraft::Cancel::open();
  mutable std::mutex mutex_;
  // Feedback that no update has taken yet, in JSON Lines.
  std::string waiting_;
  Learning now_;
  std::thread thread_;
};

#endif  // SERVE_LEARNER_HPP
