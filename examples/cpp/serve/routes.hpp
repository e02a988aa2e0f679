// What the service answers to which request.
#ifndef SERVE_ROUTES_HPP
#define SERVE_ROUTES_HPP

#include "metrics.hpp"

#include <httplib.h>
#include <nlohmann/json.hpp>

#include <chrono>

using nlohmann::json;

// Writes a value as JSON. What is not UTF-8 in it, as in a message about it, is replaced.
inline void reply(httplib::Response &response, int status, const json &value) {
  response.status = status;
  response.set_content(value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n",
                       "application/json");
}

// Runs a handler, and answers what it throws with the status that belongs to it. It gives whether
// the handler ended well.
template <class Handler>
bool guarded(httplib::Response &response, Handler handler) {
  try {
    handler();
    return true;
  } catch (const Refused &refused) {
    reply(response, refused.status, {{"error", refused.message}});
  } catch (const polygraft::Error &error) {
    const bool nothing_learnt = error.status() == POLYGRAFT_ERROR_STORE_NO_VERSION;
    const bool internal = error.status() == POLYGRAFT_ERROR_INTERNAL;
    reply(response, nothing_learnt ? 503 : internal ? 500 : 400, {{"error", error.what()}});
  } catch (const json::exception &error) {
    reply(response, 400, {{"error", error.what()}});
  } catch (const std::exception &error) {
    reply(response, 500, {{"error", error.what()}});
  }
  return false;
}

inline json as_json(const Learning &state) {
  json changed = json::array();
  for (const Change &one : state.changed) {
    changed.push_back(
        {{"language", one.language}, {"version", one.version}, {"reason", one.reason}});
  }
  json value = {{"waiting", state.waiting},
                {"running", state.running},
                {"fraction", state.fraction},
                {"updates", state.updates},
                {"changed", changed}};
  if (!state.error.empty()) {
    value["error"] = state.error;
  }
  return value;
}

// guide: begin predict
// Many threads call this at once.
inline json predict(const polygraft::Model &model, const std::string &body) {
  const json asked = json::parse(body);
  polygraft::PredictOptions options;
  options.top_k = 1;
  const auto prediction = model.predict(kTask, asked.at("lang").get<std::string>(),
                                        asked.at("text").get<std::string>(), options);
  return {{"label", prediction.label()},
          {"probability", prediction.probability()},
          {"language", prediction.language()},
          {"version", prediction.version()}};
}
// guide: end predict

inline void add_routes(httplib::Server &server, const polygraft::Model &model, Learner &learner,
                       Metrics &metrics) {
  using Request = httplib::Request;
  using Response = httplib::Response;
  server.Post("/predict", [&](const Request &request, Response &response) {
    const auto start = std::chrono::steady_clock::now();
    const bool good = guarded(response, [&] { reply(response, 200, predict(model, request.body)); });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    good ? metrics.answered(took.count()) : metrics.failed();
  });
  server.Post("/feedback", [&](const Request &request, Response &response) {
    guarded(response, [&] {
      learner.remember(request.body);
      reply(response, 202, as_json(learner.state()));
    });
  });
  server.Post("/update", [&](const Request &, Response &response) {
    guarded(response, [&] {
      learner.start();
      reply(response, 202, as_json(learner.state()));
    });
  });
  server.Get("/update", [&](const Request &, Response &response) {
    guarded(response, [&] { reply(response, 200, as_json(learner.state())); });
  });
  server.Get("/healthz", [](const Request &, Response &response) {
    response.set_content("ok\n", "text/plain");
  });
  server.Get("/metrics", [&](const Request &, Response &response) {
    response.set_content(metrics.text(learner.state()), "text/plain; version=0.0.4");
  });
}

#endif  // SERVE_ROUTES_HPP
