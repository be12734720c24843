#!/usr/bin/env python3
"""Send, call and receive between sites; what is said when it does not work."""

import json
import time

import lab


class Messages(lab.LabTest):
    # ---- calls

    def test_the_reply_is_the_output(self):
        for site in ("site1", "site2", "site3"):
            self.assertEqual(self.ok("call", "echo", "hello", "-s", site).out,
                             "hello")
            for to in ("site1", "site2", "site3"):
                self.assertEqual(self.ok("call", f"echo.{to}", "hello", "-s",
                                         site).out, "hello")

    def test_bodies_from_stdin_and_files(self):
        body = bytes(range(256)) * 16
        result = self.lab.motet("call", "echo.site2", "-", stdin=body)
        self.assertEqual(result.code, 0, result)
        path = f"{self.lab.folder}/body"
        with open(path, "wb") as file:
            file.write(b"from a file")
        self.assertEqual(self.ok("call", "echo.site3", f"@{path}").out,
                         "from a file")
        self.assertEqual(self.ok("call", "echo.site3", "--hex", "4869").out,
                         "Hi")

    def test_large_bodies(self):
        for size in (1, 65536, 1 << 20, 8 << 20):
            with self.subTest(size=size):
                body = b"x" * (size - 1) + b"!"
                result = self.lab.motet("call", "echo.site2", "-", "-s",
                                        "site1", stdin=body)
                self.assertEqual(result.code, 0, result.err)
                self.assertEqual(len(result.out), size)
                self.assertTrue(result.out.endswith("!"))

    def test_verbose(self):
        result = self.ok("call", "echo.site2", "hello", "-v", "-s", "site1")
        self.assertRegex(result.err, r"reply from echo\.site2 at site2, "
                                     r"5 bytes, [\d.]+ [mu]s")

    def test_counter(self):
        first = int(self.ok("call", "counter", "inc", "-s", "site3").out)
        second = int(self.ok("call", "counter", "inc", "-s", "site2").out)
        self.assertEqual(second, first + 1)
        self.assertEqual(int(self.ok("call", "counter", "get").out), second)

    def test_verified_rate(self):
        doc = self.ok("call", "echo.site1", "--rate", "500/s", "--for", "2s",
                      "--verify", "order", "-s", "site2", "--json").json()
        self.assertEqual(doc["calls"], 1000)
        self.assertEqual(doc["answered"], 1000)
        for key in ("lost", "duplicated", "reordered", "refused", "unknown"):
            self.assertEqual(doc[key], 0, key)
        self.assertGreater(doc["p50_ns"], 0)

    def test_verified_counter(self):
        doc = self.ok("call", "counter", "inc", "--count", "200", "--verify",
                      "order", "-s", "site3", "--json").json()
        self.assertEqual(doc["answered"], 200)
        self.assertEqual(doc["unexplained"], 0)

    # ---- one way

    def receiver(self, name, *args):
        child = self.lab.start("receive", name, *args)
        # every site is asked: the news of a name take a moment to go round
        for site in ("site1", "site2", "site3"):
            lab.wait_until(lambda site=site: self.lab.motet(
                "group", "info", name, "-s", site).code == 0,
                           what=f"group {name} as {site} knows it")
        return child

    def test_send_and_receive(self):
        child = self.receiver("inbox", "--count", "1", "-s", "site1")
        self.assertEqual(self.ok("send", "inbox", "disk full", "-s",
                                 "site3", "--wait").out, "")
        self.assertEqual(self.lab.finish(child).out, "disk full\n")

    def test_many_in_order(self):
        child = self.receiver("many", "--count", "3000", "--json", "-s",
                              "site2")
        sent = self.ok("send", "many", "--count", "3000", "-s", "site3",
                       "--json").json()
        self.assertEqual((sent["sent"], sent["accepted"]), (3000, 3000))
        got = self.lab.finish(child).json()
        self.assertEqual((got["received"], got["lost"], got["duplicated"],
                          got["reordered"]), (3000, 0, 0, 0))

    def test_a_group_hears_all(self):
        children = [self.receiver("band", "--count", "1", "-s", site)
                    for site in ("site1", "site2", "site3")]
        lab.wait_until(
            lambda: all(len(self.lab.motet("group", "info", "band", "--json",
                                           "-s", site).json()["items"]) == 3
                        for site in ("site1", "site2", "site3")),
            what="three members everywhere")
        self.ok("send", "band", "play", "--all", "-s", "site2")
        for child in children:
            self.assertEqual(self.lab.finish(child).out, "play\n")

    # ---- services

    def test_a_command_is_a_service(self):
        child = self.receiver("greet", "--exec", "tr a-z A-Z", "-s", "site1")
        self.assertEqual(self.ok("call", "greet", "hi", "-s", "site3",
                                 "--wait").out, "HI")
        child.terminate()
        result = self.lab.finish(child)
        self.assertEqual(result.code, 143, result)
        self.assertRegex(result.err, r"greet: receiving on site1")
        self.assertRegex(result.err, r"call  from .*2 B +-> replied 2 B")

    def test_a_fixed_reply_and_an_echo(self):
        child = self.receiver("fixed", "--reply", "42", "--count", "1")
        self.assertEqual(self.ok("call", "fixed", "?").out, "42")
        self.assertEqual(self.lab.finish(child).code, 0)
        child = self.receiver("mirror", "--echo", "--count", "1")
        self.assertEqual(self.ok("call", "mirror", "me").out, "me")
        self.assertEqual(self.lab.finish(child).code, 0)

    def test_a_command_that_fails(self):
        child = self.receiver("broken", "--exec", "exit 3")
        result = self.lab.motet("call", "broken", "x", "--deadline", "5s")
        self.assertNotEqual(result.code, 0, result)
        self.assertNotEqual(result.code, 124, result)
        child.terminate()
        self.lab.finish(child)

    def test_the_end_of_a_service_is_told(self):
        child = self.receiver("mortal", "--exec", "sleep 20")
        caller = self.lab.start("call", "mortal", "x", "--deadline", "20s",
                                "--wait", "-s", "site2")
        time.sleep(0.5)
        child.kill()
        start = time.monotonic()
        result = self.lab.finish(caller)
        self.assertLess(time.monotonic() - start, 10)
        self.assertEqual(result.code, 5, result)
        self.assertIn("MAY HAVE RUN", result.err)

    # ---- what is said when it fails

    def test_nobody(self):
        self.fails(3, "call nobody: no such name (as site1 knows them)",
                   "call", "nobody", "hi", "-s", "site1",
                   hints=["create it: motet receive nobody   or wait for it: "
                          "--wait"])

    def test_a_name_nearly_right(self):
        result = self.fails(3, "call ehco: no such name (as site1 knows them)",
                            "call", "ehco", "hi", "-s", "site1")
        self.assertIn("did you mean: echo", result.err)

    def test_no_answer_in_time(self):
        child = self.receiver("slow", "--exec", "sleep 5", "-s", "site2")
        result = self.fails(
            5, "call slow: no answer in 200 ms; it MAY HAVE RUN", "call",
            "slow", "x", "--deadline", "200ms", "-s", "site1",
            hints=['a retry is safe only if "slow" is idempotent'])
        self.assertEqual(result.out, "")
        child.terminate()
        self.lab.finish(child)

    def test_a_queue_that_is_full(self):
        # --queue 4 and nobody takes anything out: --hold
        child = self.receiver("stuck", "--hold", "--queue", "4", "-s", "site2")
        result = self.lab.motet("send", "stuck", "x", "--count", "200", "-s",
                                "site1", "--deadline", "1s", "--json")
        self.assertEqual(result.code, 4, result)
        doc = json.loads(result.out)
        self.assertEqual(doc["accepted"], 4)
        self.assertEqual(doc["accepted"] + doc["refused"] + doc["unknown"],
                         200)
        result = self.lab.motet("call", "stuck", "x", "--deadline", "300ms",
                                "-s", "site1")
        self.assertEqual(result.code, 4, result)
        self.assertIn("it did NOT run, a retry is safe", result.err)
        child.terminate()
        self.lab.finish(child)

    def test_unknown_site(self):
        self.fails(3, "call echo: no site named mars in cluster lab", "call",
                   "echo", "x", "-s", "mars")
        self.fails(3, "ping mars: no site named mars in cluster lab", "ping",
                   "mars")

    def test_timeout_of_the_command(self):
        result = self.lab.motet("receive", "waiting", "--timeout", "300ms")
        self.assertEqual(result.code, 124, result)

    # ---- watches

    def test_watch_a_port_end(self):
        child = self.receiver("watched", "-s", "site2")
        watcher = self.lab.start("watch", "watched", "-s", "site3")
        time.sleep(0.5)
        child.kill()
        self.lab.finish(child)
        result = self.lab.finish(watcher)
        self.assertEqual(result.code, 0, result)
        self.assertIn("watched crashed", result.out)


if __name__ == "__main__":
    lab.main()
