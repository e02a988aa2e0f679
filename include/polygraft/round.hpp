/// Rounds: many devices learn together when the data of one is not enough.

#ifndef POLYGRAFT_ROUND_HPP
#define POLYGRAFT_ROUND_HPP

#include "model.hpp"

POLYGRAFT_BEGIN

/// The bytes of a message, a reply or an aggregate.
using Bytes = std::vector<std::uint8_t>;

/// A message, a reply or an aggregate, or the outcome of applying one. Options are JSON objects;
/// docs/fleet.md has their fields.
class Round : public detail::Object<polygraft_round, polygraft_round_free> {
 public:
  using Object::Object;

  /// Asks for a round: makes the message for devices.
  static Result<Round> ask(const Model &model, Text task, Text options_json) {
    return detail::make<Round>(
        [&](polygraft_round **round, polygraft_error **error) {
          return polygraft_round_ask(model.get(), task.c_str(), options_json.c_str(), round, error);
        },
        task, options_json);
  }

  /// Trains on this device and makes the reply; `examples` and `cancel` may be null.
  static Result<Round> reply(const Model &model, const Bytes &message,
                             const Examples *examples = nullptr, Text options_json = "{}",
                             const Cancel *cancel = nullptr) {
    return detail::make<Round>(
        [&](polygraft_round **round, polygraft_error **error) {
          return polygraft_round_reply(model.get(), message.data(), message.size(),
                                       examples == nullptr ? nullptr : examples->get(),
                                       options_json.c_str(),
                                       cancel == nullptr ? nullptr : cancel->get(), round, error);
        },
        options_json);
  }

  /// Averages replies to a message; json() lists those that were refused.
  static Result<Round> average(const Store &store, const Bytes &message,
                               const std::vector<Bytes> &replies, Text options_json = "{}") {
    std::vector<const std::uint8_t *> firsts;
    std::vector<std::size_t> sizes;
    for (const Bytes &reply : replies) {
      firsts.push_back(reply.data());
      sizes.push_back(reply.size());
    }
    return detail::make<Round>(
        [&](polygraft_round **round, polygraft_error **error) {
          return polygraft_round_average(store.get(), message.data(), message.size(),
                                         firsts.data(), sizes.data(), firsts.size(),
                                         options_json.c_str(), round, error);
        },
        options_json);
  }

  /// Lets the gate of this device decide about an aggregate; json() says what it decided.
  static Result<Round> apply(const Model &model, const Bytes &aggregate,
                             Text options_json = "{}") {
    return detail::make<Round>(
        [&](polygraft_round **round, polygraft_error **error) {
          return polygraft_round_apply(model.get(), aggregate.data(), aggregate.size(),
                                       options_json.c_str(), round, error);
        },
        options_json);
  }

  /// Reads a message, a reply or an aggregate.
  static Result<Round> read(const Bytes &bytes) {
    return detail::make<Round>([&](polygraft_round **round, polygraft_error **error) {
      return polygraft_round_read(bytes.data(), bytes.size(), round, error);
    });
  }

  /// What goes over the wire; empty for what apply() returns.
  Bytes bytes() const {
    std::size_t size = 0;
    const std::uint8_t *first = polygraft_round_bytes(get(), &size);
    return size == 0 ? Bytes() : Bytes(first, first + size);
  }

  /// The description of the file, or the outcome of applying it, as JSON.
  std::string json() const { return detail::own(polygraft_round_json(get())); }
};

POLYGRAFT_END

#endif  // POLYGRAFT_ROUND_HPP
