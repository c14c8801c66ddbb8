using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelServe.Codec.Grammars;

/// <summary>How schemas that were changed are written back into JSON elements, without reflection.</summary>
[JsonSerializable(typeof(Dictionary<string, JsonElement>))]
internal sealed partial class GrammarJson : JsonSerializerContext;
