"""The time that a benchmark may take.

budget = Budget(500)
while work and budget.allows_another(): ...
"""

import time


class Budget:
    """Seconds, of which each piece of work is taken to need as many as the longest so far."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: 0 has no end."""
        self.seconds, self.longest = seconds, 0.0
        self.began = self.last = time.monotonic()

    def allows_another(self) -> bool:
        """Say, between two pieces, whether another would end in time."""
        now = time.monotonic()
        self.longest, self.last = max(self.longest, now - self.last), now
        return not self.seconds or now - self.began + self.longest <= self.seconds
