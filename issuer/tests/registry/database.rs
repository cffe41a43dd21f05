//! Where the registry of a test is, and what the tests put into it.

use issuer::domain::{
    Actor, AuthorityName, CardCommand, CardId, CardKey, CardholderId, Guid, InitialPin, MailAddress, Name,
    NewCardholder, SerialNumber, StaffId, StockIdentity,
};
use issuer::registry::{
    Authority, EmulatedCards, NewCertificate, NewStockCard, Registry, RegistryError, RegistryUrl,
};
use jiff::Timestamp;
use sqlx::Row;

use crate::postgres_server::Server;

/// A place for one registry, that ends with the test.
pub(crate) enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(Server),
    /// A database of somebody else's server.
    Shared(String),
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) fn postgres() -> Self {
        Self::Postgres(Server::start())
    }

    /// Forgets everything that is there.
    pub(crate) fn empty(&self) {
        if let Self::Postgres(server) = self {
            server.empty();
        }
    }

    pub(crate) fn url(&self) -> RegistryUrl {
        match self {
            Self::Sqlite(directory) => RegistryUrl::Sqlite(directory.path().join("registry.db")),
            Self::Postgres(server) => server.url().parse().unwrap(),
            Self::Shared(url) => url.parse().unwrap(),
        }
    }

    /// A new registry with every authority.
    pub(crate) async fn registry(&self) -> Registry {
        let registry =
            Registry::create(&self.url(), EmulatedCards::Allowed, actor("alice"), at(0)).await.unwrap();
        for name in AuthorityName::ALL {
            registry
                .add_authority(&Authority { name, certificate: name.as_str().into() }, at(0))
                .await
                .unwrap();
        }
        registry
    }

    /// The same registry, opened by somebody else.
    pub(crate) async fn open(&self, who: &str) -> Result<Registry, RegistryError> {
        Registry::open(&self.url(), actor(who)).await
    }

    /// Changes the database past the program.
    pub(crate) async fn tamper(&self, statement: &str) {
        match self {
            Self::Postgres(server) => drop(server.psql(statement)),
            Self::Shared(_) => panic!("whose server it is, has its psql"),
            Self::Sqlite(directory) => {
                let url = format!("sqlite:{}", directory.path().join("registry.db").display());
                let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
                sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&pool).await.unwrap();
                pool.close().await;
            }
        }
    }
}

impl Place {
    /// The one value that the database answers, as text; none where there is no row.
    pub(crate) async fn value(&self, question: &str) -> Option<String> {
        match self {
            Self::Postgres(server) => {
                let answer = server.psql(question);
                answer.strip_suffix('\n').map(str::to_owned)
            }
            _ => Some(self.ask(question).await.first()?[0].clone()),
        }
    }

    /// What the database answers: rows of columns, all as text.
    pub(crate) async fn ask(&self, question: &str) -> Vec<Vec<String>> {
        match self {
            Self::Postgres(server) => {
                let answer = server.psql(question);
                answer.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
            }
            Self::Shared(_) => panic!("whose server it is, has its psql"),
            Self::Sqlite(directory) => {
                let url = format!("sqlite:{}", directory.path().join("registry.db").display());
                let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
                let rows =
                    sqlx::query(sqlx::AssertSqlSafe(question.to_owned())).fetch_all(&pool).await.unwrap();
                pool.close().await;
                rows.iter().map(|row| (0..row.len()).map(|column| row.get(column)).collect()).collect()
            }
        }
    }
}

pub(crate) fn actor(name: &str) -> Actor {
    Actor::new(name).unwrap()
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(crate) fn person(name: &str, id: Option<&str>) -> NewCardholder {
    let local = name.to_lowercase().replace(' ', ".");
    NewCardholder {
        name: Name::new(name).unwrap(),
        mail: MailAddress::new(&format!("{local}@example.org")).unwrap(),
        staff_id: id.map(|id| StaffId::new(id).unwrap()),
        employed_until: None,
    }
}

pub(crate) async fn stock(registry: &Registry, serial: u32) -> CardId {
    let card = NewStockCard { identity: StockIdentity::VendorSerial(serial), sealed_secrets: None };
    registry.add_card(&card, at(1)).await.unwrap()
}

pub(crate) fn begin(holder: CardholderId) -> CardCommand {
    let mut random = [0; 16];
    getrandom::fill(&mut random).unwrap();
    CardCommand::BeginPersonalisation { holder, fresh_guid: Guid::from_random(random) }
}

pub(crate) fn complete(attempt: u32) -> CardCommand {
    CardCommand::CompletePersonalisation { attempt, pin: InitialPin::Transport }
}

pub(crate) fn certificate(
    serial: u8,
    on_card: Option<(CardholderId, CardId, u32, CardKey)>,
) -> NewCertificate {
    NewCertificate {
        serial: SerialNumber::from_bytes(&[0x4F, serial]).unwrap(),
        authority: AuthorityName::People,
        profile: "digital-signature".to_owned(),
        subject: "100%_\\ real".to_owned(),
        mail: Some("alice@example.org".to_owned()),
        on_card,
        not_before: at(0),
        not_after: at(1000),
        to_be_signed: vec![serial; 3],
    }
}

/// A person with an issued card and two certificates, `serial` and the next.
pub(crate) async fn with_card(registry: &Registry, name: &str, serial: u8) -> (CardholderId, CardId) {
    let holder = registry.add_cardholder(&person(name, None), at(1)).await.unwrap();
    let card = stock(registry, 1000 + u32::from(serial)).await;
    registry.command_card(card, begin(holder), at(2)).await.unwrap();
    for (serial, key) in [(serial, CardKey::DigitalSignature), (serial + 1, CardKey::KeyManagement)] {
        let new = certificate(serial, Some((holder, card, 1, key)));
        registry.reserve_certificate(&new, at(2)).await.unwrap();
        registry.record_signature(&new.serial, &[serial], at(2)).await.unwrap();
        registry.confirm_delivery(&new.serial, at(2)).await.unwrap();
    }
    registry.command_card(card, complete(1), at(3)).await.unwrap();
    (holder, card)
}
