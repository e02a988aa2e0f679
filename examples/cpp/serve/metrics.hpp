// Counts predictions, and writes the text format of Prometheus, version 0.0.4.
#ifndef SERVE_METRICS_HPP
#define SERVE_METRICS_HPP

#include "learner.hpp"

#include <array>
#include <sstream>

class Metrics {
 public:
  void answered(double seconds) {
    const std::lock_guard<std::mutex> lock(mutex_);
    count_++;
    seconds_ += seconds;
    for (std::size_t index = 0; index < kBounds.size(); index++) {
      within_[index] += seconds <= kBounds[index] ? 1 : 0;
    }
  }

  void failed() {
    const std::lock_guard<std::mutex> lock(mutex_);
    failed_++;
  }

  std::string text(const Learning &state) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::ostringstream out;
    const char *name = "polygraft_prediction_seconds";
    out << "# TYPE " << name << " histogram\n";
    for (std::size_t index = 0; index < kBounds.size(); index++) {
      out << name << "_bucket{le=\"" << kBounds[index] << "\"} " << within_[index] << "\n";
    }
    out << name << "_bucket{le=\"+Inf\"} " << count_ << "\n";
    out << name << "_sum " << seconds_ << "\n" << name << "_count " << count_ << "\n";
    write(out, "polygraft_prediction_errors_total", "counter", static_cast<double>(failed_));
    write(out, "polygraft_updates_total", "counter", static_cast<double>(state.updates));
    write(out, "polygraft_update_running", "gauge", state.running ? 1 : 0);
    write(out, "polygraft_update_fraction", "gauge", state.fraction);
    write(out, "polygraft_feedback_waiting", "gauge", static_cast<double>(state.waiting));
    return out.str();
  }

 private:
  // The upper bounds of the histogram of response times, in seconds.
  static constexpr std::array<double, 9> kBounds{0.002, 0.005, 0.01, 0.02, 0.05,
                                                 0.1,   0.2,   0.5,  1};

  static void write(std::ostringstream &out, const char *name, const char *type, double value) {
    out << "# TYPE " << name << " " << type << "\n" << name << " " << value << "\n";
  }

  mutable std::mutex mutex_;
  std::uint64_t count_ = 0;
  std::uint64_t failed_ = 0;
  double seconds_ = 0;
  std::array<std::uint64_t, 9> within_{};
};

#endif  // SERVE_METRICS_HPP
