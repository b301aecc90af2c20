import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.channels.FileChannel;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.retry.RetryOneTime;

/**
 * Contends for a Holdline lock with Curator's own recipes, like a program that knows nothing of Holdline. It reads commands
 * from stdin and reports on stdout, one line each; foreign.ts is the other side. Each contender has a session of its own,
 * and a thread of its own, because a lock of Curator's belongs to its thread.
 *
 * <pre>
 * turns PATH LOG COUNT NAME...   every NAME takes COUNT turns; each writes "start NAME" and "end NAME"   -> done
 * acquire PATH NAME KIND         KIND is mutex, read or write; it waits for its turn                     -> held NAME
 * release NAME                                                                                           -> released NAME
 * </pre>
 */
public class Contender {
  /** A lock that a contender holds or waits for. */
  private record Holder(ExecutorService thread, CuratorFramework client, InterProcessMutex lock) {}

  private interface Task {
    void run() throws Exception;
  }

  private static final Map<String, Holder> holders = new ConcurrentHashMap<>();
  private static final ExecutorService orders = Executors.newCachedThreadPool();
  private static String servers;

  public static void main(String[] arguments) throws Exception {
    servers = arguments[0];
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
    for (String order = input.readLine(); order != null; order = input.readLine()) {
      String[] words = order.split(" ");
      String text = order;
      switch (words[0]) {
        case "turns" -> orders.submit(() -> attempt(text, () -> turns(words)));
        case "acquire" -> acquire(text, words[1], words[2], words[3]);
        case "release" -> release(text, words[1]);
        default -> say("failed " + order + ": unknown");
      }
    }
    // The other side has closed the pipe, so this process ends, and its sessions with it.
    Runtime.getRuntime().halt(0);
  }

  private static void turns(String[] words) throws Exception {
    String path = words[1];
    int count = Integer.parseInt(words[3]);
    List<Future<?>> running = new ArrayList<>();
    for (String name : Arrays.copyOfRange(words, 4, words.length)) {
      running.add(orders.submit(() -> attempt(name, () -> takeTurns(path, Path.of(words[2]), count, name))));
    }
    for (Future<?> turns : running) turns.get();
    say("done");
  }

  private static void takeTurns(String path, Path log, int count, String name) throws Exception {
    try (CuratorFramework client = connect(); FileChannel channel = FileChannel.open(log, StandardOpenOption.APPEND)) {
      InterProcessMutex lock = new InterProcessMutex(client, path);
      for (int turn = 0; turn < count; turn += 1) {
        lock.acquire();
        // A turn writes twice with a round trip in between, which leaves room for a second turn to show itself.
        write(channel, "start " + name);
        client.checkExists().forPath(path);
        write(channel, "end " + name);
        lock.release();
      }
    }
  }

  private static void acquire(String order, String path, String name, String kind) {
    ExecutorService thread = Executors.newSingleThreadExecutor();
    thread.submit(() -> attempt(order, () -> {
      CuratorFramework client = connect();
      InterProcessMutex lock = lockOf(client, path, kind);
      holders.put(name, new Holder(thread, client, lock));
      lock.acquire();
      say("held " + name);
    }));
  }

  private static InterProcessMutex lockOf(CuratorFramework client, String path, String kind) {
    if (kind.equals("mutex")) return new InterProcessMutex(client, path);
    InterProcessReadWriteLock both = new InterProcessReadWriteLock(client, path);
    return kind.equals("read") ? both.readLock() : both.writeLock();
  }

  private static void release(String order, String name) {
    Holder holder = holders.remove(name);
    holder.thread().submit(() -> attempt(order, () -> {
      holder.lock().release();
      holder.client().close();
      say("released " + name);
    }));
    holder.thread().shutdown();
  }

  private static CuratorFramework connect() throws Exception {
    CuratorFramework client = CuratorFrameworkFactory.newClient(servers, 10_000, 10_000, new RetryOneTime(100));
    client.start();
    client.blockUntilConnected();
    return client;
  }

  private static void write(FileChannel channel, String line) throws Exception {
    channel.write(ByteBuffer.wrap((line + "\n").getBytes()));
  }

  private static void attempt(String what, Task task) {
    try {
      task.run();
    } catch (Exception error) {
      say("failed " + what + ": " + error);
    }
  }

  private static synchronized void say(String line) {
    System.out.println(line);
  }
}
