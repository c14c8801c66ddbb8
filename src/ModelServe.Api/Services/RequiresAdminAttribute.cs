namespace ModelServe.Api.Services;

/// <summary>Marks a gRPC service or one of its methods as an operator's: where keys are asked for, an ordinary key does not do.</summary>
/// <remarks>It is part of the endpoint's metadata; whoever authorizes looks for it there.</remarks>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
internal sealed class RequiresAdminAttribute : Attribute;
