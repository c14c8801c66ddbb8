using ModelServe.Engine.Running;

namespace ModelServe.Engine.Planning;

/// <summary>What of a step decides how long it takes.</summary>
/// <param name="Rows">Tokens fed.</param>
/// <param name="PromptTokens">Those of them that a sequence feeds several at a time.</param>
/// <param name="Sampled">Tokens chosen.</param>
/// <param name="Attended">Earlier positions that sequences look at which feed one token, summed.</param>
/// <param name="PromptPairs">Pairs of a fed and an earlier position of those that feed several, summed.</param>
internal readonly record struct StepShape(int Rows, int PromptTokens, int Sampled, long Attended, long PromptPairs)
{
    /// <summary>The shape of a plan.</summary>
    public static StepShape Of(StepPlan plan)
    {
        var (prompt, sampled, attended, pairs) = (0, 0, 0L, 0L);
        for (var row = 0; row < plan.SequenceCount; row++)
        {
            var fed = plan.TokenStarts[row + 1] - plan.TokenStarts[row];
            sampled += plan.Samples[row] ? 1 : 0;
            if (fed == 1)
            {
                attended += plan.FirstPositions[row];
            }
            else
            {
                prompt += fed;
                pairs += PairsOf(plan.FirstPositions[row], fed);
            }
        }

        return new StepShape(plan.TokenCount, prompt, sampled, attended, pairs);
    }

    /// <summary>So many sequences that feed one token each and get the next.</summary>
    public static StepShape Generating(int sequences, long attended) => new(sequences, 0, sequences, attended, 0);

    /// <summary>The shape with so many tokens of a prompt beside it, none of which is the prompt's last.</summary>
    public StepShape With(int promptTokens, int promptPosition) =>
        this with { Rows = Rows + promptTokens, PromptTokens = PromptTokens + promptTokens, PromptPairs = PromptPairs + PairsOf(promptPosition, promptTokens) };

    private static long PairsOf(int position, int fed) => fed * (position + (fed / 2L));
}
