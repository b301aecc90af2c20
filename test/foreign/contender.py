"""Contends for a Holdline lock with kazoo's own Lock, like a program that knows nothing of Holdline.

It reads commands from stdin and reports on stdout, one line each; foreign.ts is the other side. Each contender has a
session of its own.

    turns PATH LOG COUNT NAME...   every NAME takes COUNT turns; each writes "start NAME" and "end NAME"   -> done
    acquire PATH NAME KIND         KIND is "mutex"; it waits for its turn                                  -> held NAME
    release NAME                                                                                           -> released NAME
"""

import os
import sys
import threading

from kazoo.client import KazooClient

SERVERS = sys.argv[1]
# Every contender's name ends in this before the number, and kazoo looks at nothing else.
PATTERNS = ["lock-"]

saying = threading.Lock()
held = {}


def say(line):
    with saying:
        print(line, flush=True)


def connect():
    client = KazooClient(hosts=SERVERS, timeout=10.0)
    client.start(timeout=20)
    return client


def lock_of(client, path, name):
    return client.Lock(path, identifier=name, extra_lock_patterns=PATTERNS)


def write(log, line):
    os.write(log, (line + "\n").encode())


def take_turns(path, log, count, name):
    client = connect()
    try:
        # A turn writes twice with a round trip in between, which leaves room for a second turn to show itself.
        for _ in range(count):
            with lock_of(client, path, name):
                write(log, "start " + name)
                client.exists(path)
                write(log, "end " + name)
    finally:
        client.stop()
        client.close()


def turns(path, log_path, count, *names):
    log = os.open(log_path, os.O_WRONLY | os.O_APPEND)
    threads = [threading.Thread(target=attempt, args=(take_turns, path, log, int(count), name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(log)
    say("done")


def acquire(path, name, kind):
    client = connect()
    lock = lock_of(client, path, name)
    held[name] = (client, lock)
    lock.acquire()
    say("held " + name)


def release(name):
    client, lock = held.pop(name)
    lock.release()
    client.stop()
    client.close()
    say("released " + name)


def attempt(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        say("failed %s %s: %r" % (function.__name__, " ".join(map(str, arguments)), error))


TASKS = {"turns": turns, "acquire": acquire, "release": release}

for order in sys.stdin:
    task, *words = order.split()
    threading.Thread(target=attempt, args=(TASKS[task], *words), daemon=True).start()

# The other side has closed the pipe, so this process ends, and its sessions with it.
os._exit(0)
