using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http;
using ModelServe.Api.Services;

namespace ModelServe.Api.Security;

/// <summary>What every endpoint demands that does not say otherwise: a key where keys are in force, an admin's for an operator's methods.</summary>
/// <remarks>Decided on the endpoint that routing matched, never on the text of a URL, so that no spelling of a path gets around it.</remarks>
internal sealed class AccessRequirement : IAuthorizationRequirement
{
    /// <summary>Judges a call.</summary>
    internal sealed class Judge(ApiKeyRing ring) : AuthorizationHandler<AccessRequirement>
    {
        /// <inheritdoc/>
        protected override Task HandleRequirementAsync(AuthorizationHandlerContext context, AccessRequirement requirement)
        {
            if (!ring.IsRequired
                || (context.Resource is HttpContext call
                    && Caller.Of(call).Key is { } key
                    && (key.IsAdmin || call.GetEndpoint()?.Metadata.GetMetadata<RequiresAdminAttribute>() is null)))
            {
                context.Succeed(requirement);
            }

            return Task.CompletedTask;
        }
    }
}
