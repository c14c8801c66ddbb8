namespace ModelServe.LoadGenerator;

/// <summary>What to send. The same plan and vocabulary give the same prompts and arrival times.</summary>
/// <param name="Model">The model; null when the server has only one.</param>
/// <param name="Rate">Open loop: mean arrivals a second; null for a closed loop.</param>
/// <param name="Concurrency">Closed loop: requests in flight.</param>
/// <param name="Requests">Measured requests.</param>
/// <param name="Warmup">Requests sent before in the same way, which count for nothing.</param>
/// <param name="PromptTokens">Tokens of each prompt.</param>
/// <param name="OutputTokens">Tokens of each output; end tokens are ignored, so it is exact.</param>
/// <param name="SharedPrefixTokens">Leading prompt tokens that all requests share.</param>
/// <param name="Seed">Of prompts and arrivals.</param>
/// <param name="BesideRate">Mean arrivals a second of requests beside the measured ones, for one token each; 0 for none.</param>
/// <param name="BesidePromptTokens">Tokens of their prompts.</param>
internal sealed record LoadPlan(
    string? Model,
    double? Rate,
    int Concurrency,
    int Requests,
    int Warmup,
    int PromptTokens,
    int OutputTokens,
    int SharedPrefixTokens,
    int Seed,
    double BesideRate = 0,
    int BesidePromptTokens = 512)
{
    /// <summary>What is wrong with the plan, or null.</summary>
    public string? Problem(int connections) =>
        Check("--requests", Requests, 1)
        ?? Check("--concurrency", Concurrency, 1)
        ?? Check("--warmup", Warmup, 0)
        ?? Check("--prompt-tokens", PromptTokens, 1)
        ?? Check("--output-tokens", OutputTokens, 1)
        ?? Check("--shared-prefix-tokens", SharedPrefixTokens, 0)
        ?? Check("--connections", connections, 1)
        ?? Check("--beside-prompt-tokens", BesidePromptTokens, 1)
        ?? (!(BesideRate >= 0 && double.IsFinite(BesideRate)) ? $"--beside-rate: at least 0; got {BesideRate}" : null)
        ?? (Rate is { } rate && !(rate > 0 && double.IsFinite(rate)) ? $"--rate: more than 0; got {rate}" : null)
        ?? (SharedPrefixTokens > PromptTokens
            ? $"--shared-prefix-tokens: at most the {PromptTokens} of --prompt-tokens; got {SharedPrefixTokens}"
            : null);

    /// <summary>The prompt of one request.</summary>
    public uint[] Prompt(int index, int vocabularySize) => Prompt(index, PromptTokens, SharedPrefixTokens, vocabularySize);

    /// <summary>The prompt of one request beside them.</summary>
    public uint[] BesidePrompt(int index, int vocabularySize) => Prompt(1_000_000 + index, BesidePromptTokens, 0, vocabularySize);

    private uint[] Prompt(int index, int tokens, int sharedTokens, int vocabularySize)
    {
        var shared = new Random(Seed);
        var own = new Random(unchecked((Seed * 1_000_003) ^ index));
        uint[] prompt = new uint[tokens];
        for (int i = 0; i < prompt.Length; i++)
        {
            prompt[i] = (uint)(i < sharedTokens ? shared : own).Next(vocabularySize);
        }

        return prompt;
    }

    private static string? Check(string option, int value, int least) =>
        value < least ? $"{option}: at least {least}; got {value}" : null;
}
