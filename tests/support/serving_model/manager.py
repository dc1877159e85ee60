"""Loads and unloads versions: aspired_versions_manager.cc and what it drives."""

import contextlib
import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

from support.serving_model.status import ServingError

# core/servable_state.h; what a failed load ends in as well, with its error.
START, LOADING, AVAILABLE, UNLOADING, END = "START", "LOADING", "AVAILABLE", "UNLOADING", "END"


@dataclasses.dataclass
class Harness:
    """loader_harness.cc: one version, from being wanted to being gone."""

    name: str
    version: int
    path: str
    aspired: bool = True
    state: str = "new"  # then loading, ready, unloading, disabled, or error
    servable: object = None
    users: int = 0


class Manager:
    """Aspired versions in, servables out.

    Args:
      load: From a path to a servable; raises ServingError.
      max_num_load_retries: How often a load that failed is tried again, whatever the error.
      load_retry_seconds: The pause before each of them.
      num_load_threads: 0: the thread that decides also loads, and sleeps.
      interval: manage_state_interval_micros, in seconds.
    """

    def __init__(self, load, max_num_load_retries, load_retry_seconds, num_load_threads, interval):
        self._load, self._retries = load, max_num_load_retries
        self._pause, self._interval = load_retry_seconds, interval
        self._managed = {}
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._monitor = {}  # ServableStateMonitor: it forgets nothing
        self._stop = threading.Event()
        self._loaders = ThreadPoolExecutor(num_load_threads) if num_load_threads else None
        self._thread = threading.Thread(target=self._manage, daemon=True)
        self._thread.start()

    def set_aspired(self, name, versions):
        """ProcessAspiredVersionsRequest: {version: path} is all that is wanted of a model."""
        with self._lock:
            mine = [item for item in self._managed.values() if item.name == name]
            if any(not item.aspired and item.version in versions for item in mine):
                return  # ContainsAnyReaspiredVersions: first it must be gone.
            for harness in mine:
                harness.aspired = harness.version in versions
            for version, path in versions.items():
                if (name, version) not in self._managed:
                    self._managed[name, version] = Harness(name, version, path)
                    self._publish(self._managed[name, version], START)

    def states(self, name):
        """GetVersionStates: {version: (state, error or None)}."""
        with self._lock:
            return {version: seen for (of, version), seen in self._monitor.items() if of == name}

    def wait(self, names, timeout):
        """WaitUntilServablesReachState: until the latest of each is AVAILABLE, or one has ended."""

        def latest(name):
            states = self.states(name)
            return states[max(states)] if states else (START, None)

        with self._changed:
            done = self._changed.wait_for(
                lambda: all(latest(name)[0] in (AVAILABLE, END) for name in names), timeout
            )
            if not done:
                raise TimeoutError(f"It waits for {names}: {self._monitor}.")
            failed = [name for name in names if latest(name)[0] == END]
        if failed:
            raise ServingError("UNKNOWN", f"{len(failed)} servable(s) did not become available")

    @contextlib.contextmanager
    def servable(self, name, version=None):
        """A handle: what is in use is not unloaded."""
        with self._lock:
            ready = {
                item.version: item
                for item in self._managed.values()
                if item.name == name and item.state == "ready"
            }
            wanted = max(ready, default=None) if version is None else version
            if wanted not in ready:
                what = f"Latest({name})" if version is None else f"Specific({name}, {version})"
                raise ServingError("NOT_FOUND", f"Servable not found for request: {what}")
            harness = ready[wanted]
            harness.users += 1
        try:
            yield harness.servable, harness.version
        finally:
            with self._changed:
                harness.users -= 1
                self._changed.notify_all()

    def close(self):
        self._stop.set()
        self._thread.join()
        if self._loaders:
            self._loaders.shutdown()
        for harness in self._managed.values():
            if harness.state == "ready":
                harness.servable.close()

    def _manage(self):
        while not self._stop.wait(self._interval):
            with self._lock:
                self._flush()
                action = self._next_action()
                if action is None:
                    continue
                work, harness = action
                harness.state = "loading" if work == self._load_one else "unloading"
            if work == self._load_one and self._loaders:
                self._loaders.submit(work, harness)
            else:
                work(harness)

    def _flush(self):
        """FlushServables: what is neither wanted nor loaded is forgotten, and so may come back."""
        for key, harness in list(self._managed.items()):
            if not harness.aspired and harness.state in ("new", "disabled", "error"):
                del self._managed[key]
                if harness.state == "new":
                    self._publish(harness, END)

    def _next_action(self):
        """One action of all models, an unload before a load."""
        names = {harness.name for harness in self._managed.values()}
        actions = [action for name in names if (action := self._policy(name))]
        actions.sort(key=lambda action: action[0] == self._load_one)
        return actions[0] if actions else None

    def _policy(self, name):
        """AvailabilityPreservingPolicy::GetNextAction."""
        mine = [harness for harness in self._managed.values() if harness.name == name]
        aspired = [harness for harness in mine if harness.aspired]
        old = [item for item in mine if not item.aspired and item.state == "ready"]
        serving = any(harness.state == "ready" for harness in aspired)
        if old and (not aspired or serving or len(old) > 1):
            return self._unload_one, min(old, key=lambda harness: harness.version)
        new = [harness for harness in aspired if harness.state == "new"]
        if new:
            return self._load_one, max(new, key=lambda harness: harness.version)
        return None

    def _load_one(self, harness):
        """LoaderHarness::Load: then ready, or in error for as long as it is aspired."""
        self._publish(harness, LOADING)
        for attempt in range(self._retries + 1):
            if attempt and (not harness.aspired or self._stop.wait(self._pause)):
                break  # cancel_load_retry
            try:
                harness.servable = self._load(harness.path)
            except ServingError as caught:
                error = caught
            else:
                with self._lock:
                    harness.state = "ready"
                    self._publish(harness, AVAILABLE)
                return
        with self._lock:
            harness.state = "error"
            self._publish(harness, END, error)

    def _unload_one(self, harness):
        """BasicManager::UnloadServable: no new handle is given, then all must be back."""
        self._publish(harness, UNLOADING)
        with self._changed:
            self._changed.wait_for(lambda: harness.users == 0)
        harness.servable.close()
        with self._lock:
            harness.state = "disabled"
            self._publish(harness, END)

    def _publish(self, harness, state, error=None):
        with self._changed:
            self._monitor[harness.name, harness.version] = (state, error)
            self._changed.notify_all()
