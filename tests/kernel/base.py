"""One zygote per test file, a fresh kernel per test."""
import unittest

from driver import Zygote


class KernelTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.zygote = Zygote()
        assert "error" not in cls.zygote.ready, cls.zygote.ready

    @classmethod
    def tearDownClass(cls):
        cls.zygote.close()

    def setUp(self):
        self.kernel = self.zygote.spawn()

    def tearDown(self):
        if self.kernel.pid not in self.zygote.exits:
            self.kernel.stop()

    def ok(self, code, **options):
        """Runs a cell that must not fail."""
        answer = self.kernel.run(code, **options)
        self.assertEqual(answer.done["status"], "ok", answer.trace)
        return answer

    def fails(self, code, name, **options):
        answer = self.kernel.run(code, **options)
        self.assertEqual(answer.done["status"], "error")
        self.assertEqual(answer.done["error"]["name"], name, answer.trace)
        return answer
