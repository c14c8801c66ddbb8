namespace ModelServe.Engine.Planning;

/// <summary>Who generates and who waits for a first token, when a step is planned.</summary>
/// <param name="Plain">The step without any prompt token.</param>
/// <param name="Unanswered">Sequences that have a slot, or will get one, and wait for their first token.</param>
/// <param name="PromptPosition">Where the prompt stands that is fed first.</param>
/// <param name="PromptAgeTicks">How long ago the oldest of those with a slot got it.</param>
internal readonly record struct StepDemand(StepShape Plain, int Unanswered, int PromptPosition, long PromptAgeTicks)
{
    /// <summary>Sequences that generate.</summary>
    public int Generating => Plain.Rows;
}
