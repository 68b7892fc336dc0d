"""A module like Ray."""

import types


def fake_ray(**options) -> types.ModuleType:
    """A module like Ray that runs the newest task first whose arguments are there."""
    ray, done, waiting = types.ModuleType("ray"), {}, {}
    names = "WorkerCrashedError", "NodeDiedError", "OutOfMemoryError", "RaySystemError"
    errors = {one: type(one, (Exception,), {}) for one in (*names, "RayTaskError")}
    ray.exceptions = types.SimpleNamespace(**errors)
    ray.calls, ray.stored, ray.cancelled = [], [], []

    class Ref:
        pass

    def put(value):
        ray.stored.append(value)
        done[ref := Ref()] = value
        return ref

    def wait(refs, num_returns):
        for ref in reversed(refs):
            function, given = waiting[ref]
            if not any(isinstance(one, Ref) and one not in done for one in given):
                ready = [done[one] if isinstance(one, Ref) else one for one in given]
                done[ref] = function(*ready)
                return [ref], [one for one in refs if one is not ref]
        raise AssertionError("a task waits for one that was not started")

    def remote(function):
        def start(*given):
            waiting[ref := Ref()] = function, given
            return ref

        def chosen(**resources):
            ray.calls.append(resources)
            return types.SimpleNamespace(remote=start)

        return types.SimpleNamespace(options=chosen)

    ray.put, ray.wait, ray.remote, ray.get = put, wait, remote, done.__getitem__
    ray.is_initialized = lambda: True
    ray.nodes = lambda: [{"Alive": True, "Resources": {"CPU": 8.0}}]
    ray.cancel = lambda ref, force: ray.cancelled.append(ref)
    vars(ray).update(options)
    return ray
