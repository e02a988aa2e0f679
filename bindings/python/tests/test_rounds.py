"""Rounds: what a device answers, how answers are averaged, and what the gate makes of it."""

import support
from polygraft import Cancel, CancelledError, Examples, errors, read_round

LANGUAGES = ["de", "tr"]
TRAINING = {"steps_max": 3}


def rows(language, count):
    return Examples.labelled((one["lang"], one["text"], one["label"])
                             for one in support.examples(language, count))


class Rounds(support.ModelTest):
    def server(self):
        model, store = self.open()
        with self.begin(model) as update:
            update.run()
            update.commit()
        return model, store

    def test_a_round_goes_around(self):
        server, server_store = self.server()
        device, device_store = self.open()
        message = server.round_ask(
            support.TASK, {"languages": LANGUAGES, "training": TRAINING})
        self.assertEqual(message.about["kind"], "message")
        self.assertEqual(sorted(message.about["body"]["bases"]), LANGUAGES)
        reply = device.round_reply(message.data, rows("de", 20))
        self.assertEqual(read_round(reply.data), reply)
        self.assertEqual(device_store.versions(), [])
        # The device remembers its examples.
        again = device.round_reply(message.data)
        self.assertEqual(again.data, reply.data)

        flipped = bytearray(reply.data)
        flipped[-50] ^= 1
        average = server_store.round_average(message.data, [reply.data, bytes(flipped), b""])
        codes = [one["code"] for one in average.about["refused"]]
        self.assertEqual(codes, ["round.malformed", "round.malformed"])
        applied = device.round_apply(average.data, {"gate_margin": 0.9})
        self.assertEqual([one["language"] for one in applied], ["de"])
        self.assertTrue(applied[0]["activated"])

    def test_what_is_wrong_is_an_error(self):
        server, _ = self.server()
        with self.assertRaises(errors.ArgumentInvalidError):
            server.round_ask(support.TASK, {"language": ["de"]})
        with self.assertRaises(errors.RoundMalformedError):
            server.round_apply(b"nothing")
        message = server.round_ask(
            support.TASK, {"languages": LANGUAGES, "training": {"noise_multiplier": 1.0}})
        with self.assertRaises(errors.ArgumentInvalidError):
            server.round_reply(message.data, rows("de", 20))
        with self.assertRaises(errors.RoundMismatchError):
            server.round_reply(message.data, rows("de", 20), {"noise_multiplier_min": 2.0})
        cancel = self.enter(Cancel())
        cancel.trigger()
        message = server.round_ask(support.TASK, {"languages": LANGUAGES})
        with self.assertRaises(CancelledError):
            server.round_reply(message.data, rows("de", 20), cancel=cancel)
