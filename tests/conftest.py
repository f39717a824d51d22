"""How properties are tried: for what they say, never for how long it takes, since another test runs on the other core.

Each run tries the same examples, so that a test that is red says something of the change and not of the day. To search
further: ``pytest --hypothesis-profile searching``.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("searching", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("the same", settings.get_profile("searching"), derandomize=True)
settings.load_profile("the same")
