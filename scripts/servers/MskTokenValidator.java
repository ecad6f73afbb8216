import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.security.auth.callback.Callback;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

/**
 * Validates tokens as Amazon MSK does, except for the signature, whose secret only AWS has: the token
 * is a URL in Base64, signed for kafka-cluster:Connect, and has not expired.
 *
 * <p>Writes a line for each authentication to the file in the property msk.signIns. The broker's clock
 * is ahead by the seconds in the file in msk.clock.
 */
public final class MskTokenValidator implements AuthenticateCallbackHandler {
  private static final DateTimeFormatter DATE =
      DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);

  @Override
  public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> jaas) {}

  @Override
  public void close() {}

  @Override
  public void handle(Callback[] callbacks) throws IOException {
    for (Callback callback : callbacks) {
      if (!(callback instanceof OAuthBearerValidatorCallback validation)) {
        continue;
      }
      try {
        Token token = read(validation.tokenValue());
        Files.writeString(
            Path.of(System.getProperty("msk.signIns")),
            token.principalName() + " " + token.startTimeMs() + "\n",
            StandardOpenOption.CREATE,
            StandardOpenOption.APPEND);
        validation.token(token);
      } catch (RuntimeException rejected) {
        validation.error("invalid_token: " + rejected.getMessage(), null, null);
      }
    }
  }

  private static Token read(String value) throws IOException {
    String url = new String(Base64.getUrlDecoder().decode(value), StandardCharsets.UTF_8);
    Map<String, String> query = new HashMap<>();
    for (String parameter : URI.create(url).getQuery().split("&")) {
      String[] nameAndValue = parameter.split("=", 2);
      query.put(nameAndValue[0], nameAndValue[1]);
    }
    if (!"kafka-cluster:Connect".equals(query.get("Action"))) {
      throw new IllegalArgumentException("signed for " + query.get("Action"));
    }
    Instant signed = Instant.from(DATE.parse(query.get("X-Amz-Date")));
    Instant expires = signed.plusSeconds(Long.parseLong(query.get("X-Amz-Expires")));
    String ahead = Files.readString(Path.of(System.getProperty("msk.clock"))).trim();
    Instant now = Instant.now().plus(Duration.ofSeconds(Long.parseLong(ahead)));
    if (now.isAfter(expires)) {
      throw new IllegalArgumentException("the token has expired");
    }
    String accessKey = query.get("X-Amz-Credential").split("/")[0];
    return new Token(value, accessKey, signed.toEpochMilli(), expires.toEpochMilli());
  }

  private record Token(String value, String principalName, Long startTimeMs, long lifetimeMs)
      implements OAuthBearerToken {
    @Override
    public Set<String> scope() {
      return Set.of();
    }
  }
}
