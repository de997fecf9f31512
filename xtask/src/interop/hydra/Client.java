// Akka HTTP's web socket against a gateway: prints one JSON object with what was seen.

import akka.actor.ActorSystem;
import akka.http.javadsl.Http;
import akka.http.javadsl.model.headers.RawHeader;
import akka.http.javadsl.model.ws.BinaryMessage;
import akka.http.javadsl.model.ws.Message;
import akka.http.javadsl.model.ws.TextMessage;
import akka.http.javadsl.model.ws.WebSocketRequest;
import akka.http.javadsl.model.ws.WebSocketUpgradeResponse;
import akka.japi.Pair;
import akka.stream.Materializer;
import akka.stream.OverflowStrategy;
import akka.stream.javadsl.Flow;
import akka.stream.javadsl.Keep;
import akka.stream.javadsl.Sink;
import akka.stream.javadsl.SinkQueueWithCancel;
import akka.stream.javadsl.Source;
import akka.stream.javadsl.SourceQueueWithComplete;
import akka.util.ByteString;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Client {
  static final Pattern ID = Pattern.compile("\"requestId\":\"(\\d+)\",\"status\":\\{\"code\":200,");
  static final Pattern CODE = Pattern.compile("\"status\":(?:\\{\"code\":)?(\\d+)");
  static final ActorSystem SYSTEM = ActorSystem.create();
  static final Materializer MATERIALIZER = Materializer.createMaterializer(SYSTEM);
  static final List<String> SEEN = new ArrayList<>();

  static <T> T get(CompletionStage<T> stage) throws Exception {
    return stage.toCompletableFuture().get(30, TimeUnit.SECONDS);
  }

  /** A connection. */
  static class Socket {
    final SourceQueueWithComplete<Message> out;
    final SinkQueueWithCancel<Message> in;
    final int status;

    Socket(WebSocketRequest request) throws Exception {
      Source<Message, SourceQueueWithComplete<Message>> source =
          Source.queue(2048, OverflowStrategy.backpressure());
      Sink<Message, SinkQueueWithCancel<Message>> sink = Sink.queue();
      Flow<Message, Message, Pair<SinkQueueWithCancel<Message>, SourceQueueWithComplete<Message>>>
          flow = Flow.fromSinkAndSourceMat(sink, source, Keep.both());
      Pair<CompletionStage<WebSocketUpgradeResponse>,
              Pair<SinkQueueWithCancel<Message>, SourceQueueWithComplete<Message>>> both =
          Http.get(SYSTEM).singleWebSocketRequest(request, flow, MATERIALIZER);
      status = get(both.first()).response().status().intValue();
      in = both.second().first();
      out = both.second().second();
    }

    void send(Message message) throws Exception {
      get(out.offer(message));
    }

    String next() throws Exception {
      TextMessage text = get(in.pull()).get().asTextMessage();
      return text.isStrict()
          ? text.getStrictText()
          : get(text.getStreamedText().runFold("", String::concat, MATERIALIZER));
    }

    String say(String text) throws Exception {
      send(TextMessage.create(text));
      return next();
    }

    /** Whether the server agrees to the end. */
    boolean end() throws Exception {
      out.complete();
      return !get(in.pull()).isPresent();
    }
  }

  static int code(String text) {
    Matcher found = CODE.matcher(text);
    return found.find() ? Integer.parseInt(found.group(1)) : 0;
  }

  static void seen(String name, String value) {
    SEEN.add("\"" + name + "\":\"" + value.replace("\\", "\\\\").replace("\"", "\\\"") + "\"");
  }

  static void seen(String name, int value) {
    SEEN.add("\"" + name + "\":" + value);
  }

  public static void main(String[] args) throws Exception {
    String base = "ws://" + args[0] + "/ws-ingest";
    try {
      Socket socket = new Socket(WebSocketRequest.create(base + "/kafka_ingestor"));
      seen("set", socket.say("-c set hydra-kafka-topic = test-topic"));
      seen("ack", socket.say("-c set hydra-ack = explicit"));
      seen("no-broker", code(socket.say("{\"name\":\"test\",\"value\":\"test\"}")));
      seen("close", socket.end() ? 1000 : 0);

      socket = new Socket(WebSocketRequest.create(base)
          .addHeader(RawHeader.create("hydra-tag", args[1]))
          .addHeader(RawHeader.create("hydra-ack", "persisted")));
      String listing = socket.say("-c SET");
      seen("listing", listing.replaceAll(".*\"message\":\"(.*)\"}", "$1"));
      for (int number = 0; number < 1000; number++) {
        socket.send(TextMessage.create("-i " + number + " akka " + number));
      }
      Set<Integer> ids = new HashSet<>();
      for (int number = 0; number < 1000; number++) {
        Matcher found = ID.matcher(socket.next());
        if (found.find()) ids.add(Integer.parseInt(found.group(1)));
      }
      seen("many", ids.size());
      seen("large", code(socket.say("large " + "x".repeat(1_000_000))));
      // A streamed message is one in fragments.
      socket.send(TextMessage.create(Source.from(Arrays.asList("in ", "three ", "pieces"))));
      seen("fragments", code(socket.next()));
      List<String> pieces = new ArrayList<>();
      for (int at = 0; at < 60; at++) pieces.add("x");
      socket.send(TextMessage.create(Source.from(pieces)));
      seen("too many fragments", code(socket.next()));
      socket.send(BinaryMessage.create(ByteString.fromInts(0, 1)));
      seen("binary", code(socket.next()));
      socket.end();

      socket = new Socket(WebSocketRequest.create(base)
          .addHeader(RawHeader.create("Origin", "http://elsewhere.example")));
      seen("foreign origin", socket.status);
      System.out.println("{" + String.join(",", SEEN) + "}");
    } finally {
      SYSTEM.terminate();
    }
  }
}
