namespace ModelServe.Engine.Admission;

/// <summary>A number added to one token's logit before sampling.</summary>
/// <param name="TokenId">The token, in [0, vocabulary size).</param>
/// <param name="Bias">The addend; finite.</param>
public readonly record struct LogitBias(int TokenId, float Bias);
