using System.Text.Json.Nodes;

namespace ModelServe.Trainer.Data;

/// <summary>One question with the only right answer, its task name, and the key that decides train or eval.</summary>
internal sealed record Problem(string Task, string Key, string Question, string Answer)
{
    /// <summary>Schema of the answer, where the answer is a JSON object.</summary>
    public JsonObject? Schema { get; init; }

    /// <summary>True when the key belongs to the evaluation sixteenth, which training never sees.</summary>
    public bool IsHeldOut => StableHash.Of(Key) % 16 == 0;
}
