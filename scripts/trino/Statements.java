import com.fasterxml.jackson.databind.ObjectMapper;
import io.trino.Session;
import io.trino.plugin.memory.MemoryConnectorFactory;
import io.trino.testing.LocalQueryRunner;
import io.trino.testing.MaterializedRow;
import io.trino.testing.TestingSession;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Runs statements in Trino, on tables in memory.
 *
 * <p>Standard input is a JSON array of statements. Standard output is an array with the rows of each:
 * arrays of values, as texts.
 */
public class Statements {
    public static void main(String[] arguments) throws Exception {
        ObjectMapper json = new ObjectMapper();
        String[] statements = json.readValue(System.in, String[].class);
        List<List<List<String>>> answers = new ArrayList<>();
        Session session = TestingSession.testSessionBuilder().setCatalog("memory").setSchema("default").build();
        try (LocalQueryRunner trino = LocalQueryRunner.create(session)) {
            trino.createCatalog("memory", new MemoryConnectorFactory(), Map.of());
            for (String statement : statements) {
                List<List<String>> rows = new ArrayList<>();
                for (MaterializedRow row : trino.execute(statement).getMaterializedRows()) {
                    rows.add(row.getFields().stream().map(String::valueOf).toList());
                }
                answers.add(rows);
            }
        }
        System.out.println(json.writeValueAsString(answers));
        System.exit(0);
    }
}
