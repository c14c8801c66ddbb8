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
    private const int MostRequests = 1 << 28;

    /// <summary>What is wrong with the plan, or null.</summary>
    public string? Problem(int connections) =>
        Check("--requests", Requests, 1, MostRequests)
        ?? Check("--concurrency", Concurrency, 1)
        ?? Check("--warmup", Warmup, 0, MostRequests)
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

    /// <summary>The prompt of one measured request.</summary>
    public uint[] Prompt(int index, int vocabularySize) => Prompt(0, index, PromptTokens, SharedPrefixTokens, vocabularySize);

    /// <summary>The prompt of one request before them: of their shape, and none of theirs, else a prefix cache would answer those.</summary>
    public uint[] WarmupPrompt(int index, int vocabularySize) => Prompt(1, index, PromptTokens, SharedPrefixTokens, vocabularySize);

    /// <summary>The prompt of one request beside them.</summary>
    public uint[] BesidePrompt(int index, int vocabularySize) => Prompt(2, index, BesidePromptTokens, 0, vocabularySize);

    private uint[] Prompt(int kind, int index, int tokens, int sharedTokens, int vocabularySize)
    {
        var shared = new Random(Seed);
        // Never below zero: there the generator takes a seed for its opposite, and two prompts would be one.
        var own = new Random((unchecked(Seed * 1_000_003) & int.MaxValue) ^ ((kind << 28) | index));
        uint[] prompt = new uint[tokens];
        for (int i = 0; i < prompt.Length; i++)
        {
            prompt[i] = (uint)(i < sharedTokens ? shared : own).Next(vocabularySize);
        }

        return prompt;
    }

    private static string? Check(string option, int value, int least, int most = int.MaxValue) =>
        value < least ? $"{option}: at least {least}; got {value}"
        : value > most ? $"{option}: at most {most}; got {value}"
        : null;
}
