//! `POST /services/Soap/u/{version}`: the login call of the partner API, which older clients still use.

use axum::response::Response;
use http::StatusCode;

use super::grants::ORGANIZATION;
use super::objects;
use super::org::Org;
use super::reply;
use super::resources;

const XML: &str = "text/xml; charset=utf-8";

/// Answers a login; any other call of that API is refused.
pub(super) fn login(org: &Org, version: &str, body: &[u8]) -> Response {
    let text = String::from_utf8_lossy(body);
    if !resources::is_served(version) {
        return fault("UNSUPPORTED_API_VERSION", "Invalid Api version specified on URL");
    }
    let (Some(username), Some(password)) = (element(&text, "username"), element(&text, "password")) else {
        return fault("INVALID_OPERATION", "only login is served here");
    };
    let known = &org.settings.sign_in.credentials;
    let right =
        password == known.password || password == format!("{}{}", known.password, known.security_token);
    if username != known.username || !right {
        return refused();
    }
    let session = org.grants().new_access();
    org.log.count(|counters| counters.tokens += 1);
    let (url, user) = (&org.url, objects::integration_user());
    let answer = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns=\"urn:partner.soap.sforce.com\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body><loginResponse><result>\
         <metadataServerUrl>{url}/services/Soap/m/{version}/{ORGANIZATION}</metadataServerUrl>\
         <passwordExpired>false</passwordExpired><sandbox>false</sandbox>\
         <serverUrl>{url}/services/Soap/u/{version}/{ORGANIZATION}</serverUrl>\
         <sessionId>{session}</sessionId><userId>{user}</userId>\
         <userInfo><organizationId>{ORGANIZATION}</organizationId><userId>{user}</userId></userInfo>\
         </result></loginResponse></soapenv:Body></soapenv:Envelope>"
    );
    reply::body(StatusCode::OK, XML, answer)
}

/// What a login gets that is refused whatever it brings.
pub(super) fn refused() -> Response {
    fault("INVALID_LOGIN", "Invalid username, password, security token; or user locked out.")
}

fn fault(code: &str, message: &str) -> Response {
    let answer = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:sf=\"urn:fault.partner.soap.sforce.com\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body><soapenv:Fault>\
         <faultcode>sf:{code}</faultcode><faultstring>{code}: {message}</faultstring><detail>\
         <sf:LoginFault xsi:type=\"sf:LoginFault\"><sf:exceptionCode>{code}</sf:exceptionCode>\
         <sf:exceptionMessage>{message}</sf:exceptionMessage></sf:LoginFault></detail></soapenv:Fault>\
         </soapenv:Body></soapenv:Envelope>"
    );
    reply::body(StatusCode::INTERNAL_SERVER_ERROR, XML, answer)
}

/// The text of the first element of this local name, entities resolved. Enough for a login envelope, whose
/// elements hold text only.
fn element(xml: &str, name: &str) -> Option<String> {
    let (mut rest, tag) = (xml, name);
    while let Some(start) = rest.find('<') {
        let inner = &rest[start + 1..];
        let end = inner.find('>')?;
        let opened = inner[..end].split([' ', '\t', '\r', '\n']).next().unwrap_or_default();
        rest = &inner[end + 1..];
        if opened.rsplit(':').next() == Some(tag) && !opened.starts_with('/') {
            let text = &rest[..rest.find("</")?];
            return Some(
                text.replace("&lt;", "<")
                    .replace("&gt;", ">")
                    .replace("&quot;", "\"")
                    .replace("&#x27;", "'")
                    .replace("&#39;", "'")
                    .replace("&apos;", "'")
                    .replace("&amp;", "&"),
            );
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::element;

    #[test]
    fn an_element_is_found_under_any_prefix_and_its_entities_are_resolved() {
        let xml = r#"<env:Body><n1:login xmlns:n1="urn:x"><n1:username>a&amp;b@c</n1:username>
            <n1:password>p&lt;&#x27;w</n1:password></n1:login></env:Body>"#;
        assert_eq!(element(xml, "username").as_deref(), Some("a&b@c"));
        assert_eq!(element(xml, "password").as_deref(), Some("p<'w"));
        assert_eq!(element(xml, "sessionId"), None);
        assert_eq!(element("<username>open", "username"), None);
    }
}
